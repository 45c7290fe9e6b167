// Objects that are open without having a name: unlinked files and directories, O_TMPFILE, O_PATH.
#include <dirent.h>
#include <sys/xattr.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

std::string through(const UniqueFd& fd) {
    return printf_string("/proc/self/fd/%d", fd.get());
}

void see_content(const UniqueFd& fd) {
    char buffer[4096];
    const ssize_t count = ::pread(fd.get(), buffer, sizeof buffer, 0);
    say("content", count < 0 ? errno_name(errno) : describe_bytes({buffer, static_cast<size_t>(count)}));
}

void an_unlinked_file_lives_on() {
    make_file("f", 0644, "contents");
    const UniqueFd fd = open_file("f");
    SEE(unlink("f"));
    see_fstat("after unlink", fd.get());
    SEE(pwrite(fd.get(), "later", 5, 4));
    see_content(fd);
    SEE(ftruncate(fd.get(), 3));
    SEE(ftruncate(fd.get(), 5000));
    SEE(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    SEE(fchmod(fd.get(), 0600));
    SEE(fchown(fd.get(), 70001, 70001));
    SEE(fsetxattr(fd.get(), "user.x", "v", 1, 0));
    SEE(futimens(fd.get(), nullptr));
    SEE(fsync(fd.get()));
    see_fstat("after changes", fd.get());
    SEE(linkat(AT_FDCWD, through(fd).c_str(), AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
    SEE(linkat(fd.get(), "", AT_FDCWD, "again", AT_EMPTY_PATH));
    see_stat("again");
    SEE_FD(open(through(fd).c_str(), O_RDWR));
    SEE_FD(open(through(fd).c_str(), O_RDWR | O_TRUNC));
    see_fstat("after O_TRUNC", fd.get());
    make_file("f", 0644, "another");
    see_fstat("while a new one has the name", fd.get());
    see_bytes("f");
}

void replaced_by_rename() {
    make_file("old", 0644, "old");
    make_file("new", 0644, "new");
    const UniqueFd fd = open_file("old");
    SEE(rename("new", "old"));
    see_fstat("replaced", fd.get());
    SEE(pwrite(fd.get(), "XXXX", 4, 0));
    see_content(fd);
    see_bytes("old");
}

void several_names() {
    make_file("a", 0644, "x");
    ::link("a", "b");
    const UniqueFd fd = open_file("a");
    SEE(unlink("a"));
    see_fstat("one name left", fd.get());
    SEE(link("b", "c"));
    see_fstat("two names", fd.get());
    SEE(unlink("b"));
    SEE(unlink("c"));
    see_fstat("none", fd.get());
    SEE(pwrite(fd.get(), "y", 1, 0));
    see_content(fd);
}

void nameless_files() {
    make_directory("d", 0777);
    const UniqueFd fd(::open("d", O_TMPFILE | O_RDWR, 0640));
    see_fstat("nameless", fd.get());
    SEE(write(fd.get(), "hello", 5));
    see_names("d");
    SEE(linkat(AT_FDCWD, through(fd).c_str(), AT_FDCWD, "d/named", AT_SYMLINK_FOLLOW));
    see_stat("d/named");
    see_bytes("d/named");
    SEE(linkat(AT_FDCWD, through(fd).c_str(), AT_FDCWD, "d/named", AT_SYMLINK_FOLLOW));
    SEE(linkat(AT_FDCWD, through(fd).c_str(), AT_FDCWD, "d/twice", AT_SYMLINK_FOLLOW));
    see_stat("d/twice");
    const UniqueFd exclusive(::open("d", O_TMPFILE | O_RDWR | O_EXCL, 0640));
    SEE(linkat(AT_FDCWD, through(exclusive).c_str(), AT_FDCWD, "d/exclusive", AT_SYMLINK_FOLLOW));
    SEE_FD(open("d", O_TMPFILE | O_RDONLY, 0640));
    SEE_FD(open("d", O_TMPFILE | O_WRONLY, 0640));
    SEE_FD(open("d/named", O_TMPFILE | O_RDWR, 0640));
    SEE_FD(open("none", O_TMPFILE | O_RDWR, 0640));
    ::chmod("d", 0555);
    as(alice, [] { SEE_FD(open("d", O_TMPFILE | O_RDWR, 0640)); });
    ::chmod("d", 02777);
    give("d", 70009, shared_group);
    as(bob, [] {
        const UniqueFd own(::open("d", O_TMPFILE | O_RDWR, 02660));
        see_fstat("of bob", own.get());
        SEE(linkat(AT_FDCWD, through(own).c_str(), AT_FDCWD, "d/bobs", AT_SYMLINK_FOLLOW));
    });
    see_stat("d/bobs");
    see_names("d");
}

void removed_directories() {
    make_directory("d");
    const UniqueFd fd(::open("d", O_RDONLY | O_DIRECTORY));
    SEE(rmdir("d"));
    see_fstat("removed directory", fd.get());
    SEE(mkdirat(fd.get(), "sub", 0755));
    SEE_FD(openat(fd.get(), "file", O_CREAT | O_RDWR, 0644));
    SEE_FD(openat(fd.get(), ".", O_RDONLY));
    SEE_FD(openat(fd.get(), "..", O_RDONLY));
    SEE(symlinkat("x", fd.get(), "link"));
    SEE(linkat(AT_FDCWD, "/proc/self/exe", fd.get(), "exe", 0));
    SEE(fchmod(fd.get(), 0700));
    DIR* stream = ::fdopendir(::dup(fd.get()));
    int count = 0;
    while (stream != nullptr && ::readdir(stream) != nullptr) ++count;
    say("entries", count);
    if (stream != nullptr) ::closedir(stream);
    make_directory("d");
    see_fstat("while a new one has the name", fd.get());
}

void current_directory_removed() {
    make_directory("here");
    SEE(chdir("here"));
    SEE(rmdir("../here"));
    SEE_FD(open("file", O_CREAT | O_RDWR, 0644));
    SEE_FD(open(".", O_RDONLY));
    SEE(mkdir("sub", 0755));
    SEE(chdir(".."));
    char buffer[4096];
    say("getcwd works", ::getcwd(buffer, sizeof buffer) != nullptr);
}

void path_descriptors() {
    make_file("f", 0644, "contents");
    ::symlink("f", "s");
    const UniqueFd fd(::open("f", O_PATH));
    const UniqueFd link(::open("s", O_PATH | O_NOFOLLOW));
    see_fstat("f", fd.get());
    see_fstat("s", link.get());
    char buffer[16];
    SEE(read(fd.get(), buffer, 1));
    SEE(write(fd.get(), "x", 1));
    SEE(fchmod(fd.get(), 0600));
    SEE(fchown(fd.get(), 0, 0));
    SEE(fchownat(fd.get(), "", 70001, 70001, AT_EMPTY_PATH));
    SEE(fchownat(link.get(), "", 70002, 70002, AT_EMPTY_PATH));
    SEE(readlinkat(link.get(), "", buffer, sizeof buffer));
    SEE(ftruncate(fd.get(), 0));
    SEE(fsync(fd.get()));
    SEE(linkat(fd.get(), "", AT_FDCWD, "hard", AT_EMPTY_PATH));
    SEE_FD(open(through(fd).c_str(), O_RDWR));
    SEE(unlink("f"));
    see_fstat("f unlinked", fd.get());
    SEE_FD(open(through(fd).c_str(), O_RDONLY));
    see_stat("hard");
}

// Somebody else's descriptor keeps a file alive as well.
void held_by_another_process() {
    make_file("f", 0644, "contents");
    const UniqueFd fd = open_file("f");
    const pid_t child = spawn([&] {
        char byte;
        while (::access("go", F_OK) != 0) tick();
        SEE(pread(fd.get(), &byte, 1, 2));
        SEE(pwrite(fd.get(), "zz", 2, 0));
        see_fstat("in the child", fd.get());
    });
    SEE(unlink("f"));
    make_file("go");
    say("child", describe_status(wait_for(child)));
    see_content(fd);
}

constexpr Case cases[] = {
    {"an_unlinked_file_lives_on", an_unlinked_file_lives_on}, {"replaced_by_rename", replaced_by_rename},
    {"several_names", several_names}, {"nameless_files", nameless_files}, {"removed_directories", removed_directories},
    {"current_directory_removed", current_directory_removed}, {"path_descriptors", path_descriptors},
    {"held_by_another_process", held_by_another_process},
};

}  // namespace

extern const Topic unlinked_topic{"unlinked", cases};

}  // namespace holdfast::fidelity
