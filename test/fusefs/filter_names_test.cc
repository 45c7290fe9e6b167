// What names and objects do through the mount, and what the journal says of it.
#include <sys/xattr.h>

#include "test/fusefs/filter_mount.h"

namespace holdfast::test {
namespace {

using Catch::Matchers::Equals;

int write_file(const std::string& path, std::string_view text, int flags = O_CREAT | O_WRONLY) {
    const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
    if (!fd) return -1;
    return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : -1;
}

std::string read_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[4096];
    const ssize_t size = fd ? ::read(fd.get(), buffer, sizeof buffer) : -1;
    return size < 0 ? "?" : std::string(buffer, static_cast<size_t>(size));
}

}  // namespace

TEST_CASE("filter: without a journal it is a file system like the one beneath", "[mount]") {
    FilterMount mount(Recording::none);
    REQUIRE(write_file(mount / "a", "hello") == 0);
    CHECK(read_file(mount / "a") == "hello");
    CHECK(read_file(mount.backing("a")) == "hello");
    REQUIRE(::mkdir((mount / "d").c_str(), 0750) == 0);
    REQUIRE(::rename((mount / "a").c_str(), (mount / "d/b").c_str()) == 0);
    REQUIRE(::link((mount / "d/b").c_str(), (mount / "c").c_str()) == 0);
    struct stat through {}, beneath {};
    REQUIRE(::stat((mount / "c").c_str(), &through) == 0);
    REQUIRE(::stat(mount.backing("d/b").c_str(), &beneath) == 0);
    CHECK(through.st_ino == beneath.st_ino);
    CHECK(through.st_nlink == 2);
    REQUIRE(::unlink((mount / "c").c_str()) == 0);
    CHECK(::access((mount / "c").c_str(), F_OK) != 0);
    REQUIRE(::unlink((mount / "d/b").c_str()) == 0);
    REQUIRE(::rmdir((mount / "d").c_str()) == 0);
    mount.unmount();
}

TEST_CASE("filter: a file's life is recorded in order", "[mount]") {
    FilterMount mount(Recording::journal);
    REQUIRE(write_file(mount / "a", "hello") == 0);
    REQUIRE(::rename((mount / "a").c_str(), (mount / "b").c_str()) == 0);
    REQUIRE(::chmod((mount / "b").c_str(), 0600) == 0);
    REQUIRE(::truncate((mount / "b").c_str(), 2) == 0);
    REQUIRE(::setxattr((mount / "b").c_str(), "user.x", "1", 1, 0) == 0);
    REQUIRE(::removexattr((mount / "b").c_str(), "user.x") == 0);
    REQUIRE(::link((mount / "b").c_str(), (mount / "c").c_str()) == 0);
    REQUIRE(::unlink((mount / "b").c_str()) == 0);
    REQUIRE(::unlink((mount / "c").c_str()) == 0);
    mount.unmount();
    auto seen = mount.records();
    REQUIRE(seen.size() == 14);
    // The kernel says later that nobody has the file open any more; the directory's times may have been idle for long enough by then.
    if (seen[12].type == "SETATTR") std::swap(seen[12], seen[13]);
    CHECK_THAT(FilterMount::types(seen),
               Equals("CREATE WRITE SETATTR RENAME SETATTR TRUNCATE SETATTR SETXATTR REMOVEXATTR LINK UNLINK UNLINK "
                      "ORPHAN_END SETATTR"));
    CHECK(seen[0].text == "a");
    CHECK(seen[1].text == "0:hello");
    CHECK(seen[3].text == "a->b");
    CHECK(seen[4].text == "1 mode=100600");
    CHECK(seen[10].text == "b");
    CHECK(seen[11].text == "c last");
    CHECK(seen[13].object == journal::root_object);
    for (size_t i = 1; i < 13; ++i) CHECK(seen[i].object == seen[0].object);
}

TEST_CASE("filter: what fails leaves no record", "[mount]") {
    FilterMount mount(Recording::journal);
    CHECK(::rmdir((mount / "none").c_str()) != 0);
    REQUIRE(::mkdir((mount / "d").c_str(), 0755) == 0);
    REQUIRE(::mkdir((mount / "d/e").c_str(), 0755) == 0);
    CHECK(::rmdir((mount / "d").c_str()) != 0);
    CHECK(errno == ENOTEMPTY);
    CHECK(::setxattr((mount / "d").c_str(), "user.x", "1", 1, XATTR_REPLACE) != 0);
    CHECK(::rename((mount / "d").c_str(), (mount / "d/e/f").c_str()) != 0);
    mount.unmount();
    const auto seen = mount.records();
    CHECK_THAT(FilterMount::types(seen), Equals("MKDIR MKDIR SETATTR SETATTR"));
}

TEST_CASE("filter: a rename over a file takes its last name, an exchange none", "[mount]") {
    FilterMount mount(Recording::journal);
    REQUIRE(write_file(mount / "a", "a") == 0);
    REQUIRE(write_file(mount / "b", "b") == 0);
    REQUIRE(::renameat2(AT_FDCWD, (mount / "a").c_str(), AT_FDCWD, (mount / "b").c_str(), RENAME_EXCHANGE) == 0);
    CHECK(read_file(mount / "a") == "b");
    REQUIRE(::rename((mount / "a").c_str(), (mount / "b").c_str()) == 0);
    CHECK(read_file(mount / "b") == "b");
    mount.unmount();
    std::string renames;
    for (const auto& one : mount.records())
        if (one.type == "RENAME") renames += one.text + ";";
    CHECK(renames == "a->b exchange;a->b last;");
}

TEST_CASE("filter: a deleted file lives until its last user is gone", "[mount]") {
    FilterMount mount(Recording::journal);
    UniqueFd fd(::open((mount / "a").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
    REQUIRE(fd);
    REQUIRE(::unlink((mount / "a").c_str()) == 0);
    REQUIRE(::write(fd.get(), "still", 5) == 5);
    struct stat status {};
    REQUIRE(::fstat(fd.get(), &status) == 0);
    CHECK(status.st_nlink == 0);
    CHECK(status.st_size == 5);
    char text[5];
    REQUIRE(::pread(fd.get(), text, 5, 0) == 5);
    CHECK(std::string_view(text, 5) == "still");
    fd.reset();
    mount.unmount();
    const auto seen = mount.records();
    REQUIRE(seen.size() >= 4);
    CHECK(seen[0].type == "CREATE");
    CHECK(seen[1].text == "a last");
    CHECK(seen[2].text == "0:still");
    size_t ends = 0;
    for (const auto& one : seen) ends += one.type == "ORPHAN_END" ? 1 : 0;
    CHECK(ends == 1);
}

TEST_CASE("filter: a file born nameless can be given a name", "[mount]") {
    FilterMount mount(Recording::journal);
    {
        const UniqueFd fd(::open(mount.live.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0640));
        REQUIRE(fd);
        REQUIRE(::write(fd.get(), "born", 4) == 4);
        REQUIRE(::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd.get())).c_str(), AT_FDCWD, (mount / "n").c_str(),
                         AT_SYMLINK_FOLLOW) == 0);
    }
    CHECK(read_file(mount / "n") == "born");
    mount.unmount();
    CHECK_THAT(FilterMount::types(mount.records()), Equals("CREATE WRITE LINK SETATTR SETATTR"));
}

TEST_CASE("filter: special files and links are recorded as what they are", "[mount]") {
    FilterMount mount(Recording::journal);
    REQUIRE(::symlink("over/there", (mount / "s").c_str()) == 0);
    REQUIRE(::mkfifo((mount / "p").c_str(), 0600) == 0);
    char target[64];
    CHECK(::readlink((mount / "s").c_str(), target, sizeof target) == 10);
    mount.unmount();
    const auto seen = mount.records();
    CHECK_THAT(FilterMount::types(seen), Equals("SYMLINK MKNOD SETATTR"));
    CHECK(seen[0].text == "s->over/there");
}

TEST_CASE("filter: names that a store uses for itself are neither seen nor set", "[mount]") {
    FilterMount mount(Recording::none);
    REQUIRE(write_file(mount / "a", "x") == 0);
    REQUIRE(::setxattr(mount.backing("a").c_str(), "trusted.holdfast.id", "1", 1, 0) == 0);
    char names[256];
    CHECK(::listxattr((mount / "a").c_str(), names, sizeof names) == 0);
    CHECK(::getxattr((mount / "a").c_str(), "trusted.holdfast.id", names, sizeof names) < 0);
    CHECK(errno == ENODATA);
    CHECK(::setxattr((mount / "a").c_str(), "trusted.holdfast.id", "2", 1, 0) < 0);
    CHECK(errno == EPERM);
    mount.unmount();
}

}  // namespace holdfast::test
