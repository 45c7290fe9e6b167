// File capabilities that the backing file system drops by itself: history has to know.
#include <sys/xattr.h>

#include <algorithm>

#include "test/fusefs/filter_mount.h"

namespace holdfast::test {
namespace {

constexpr const char* name = "security.capability";
// cap_net_raw=ep, revision 2.
constexpr unsigned char capability[20] = {0x01, 0, 0, 0x02, 0, 0x20};

void set_capability(const std::string& path) {
    REQUIRE(::setxattr(path.c_str(), name, capability, sizeof capability, 0) == 0);
}
bool has_capability(const std::string& path) {
    return ::getxattr(path.c_str(), name, nullptr, 0) >= 0;
}
UniqueFd open_for_writing(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    REQUIRE(fd);
    return fd;
}
void write_some(int fd) {
    REQUIRE(::pwrite(fd, "contents", 8, 0) == 8);
}
size_t removals(const std::vector<FilterMount::Seen>& seen) {
    return static_cast<size_t>(std::count_if(seen.begin(), seen.end(), [](const auto& one) { return one.type == "REMOVEXATTR"; }));
}

struct Way {
    const char* what;
    int (*change)(const std::string& path);
};
constexpr Way ways[] = {
    {"truncate", [](const std::string& path) { return ::truncate(path.c_str(), 4); }},
    {"ftruncate", [](const std::string& path) { return ::ftruncate(open_for_writing(path).get(), 4); }},
    {"open", [](const std::string& path) { return UniqueFd(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)).valid() ? 0 : -1; }},
    {"write", [](const std::string& path) { return ::pwrite(open_for_writing(path).get(), "x", 1, 2) == 1 ? 0 : -1; }},
    {"fallocate", [](const std::string& path) { return ::fallocate(open_for_writing(path).get(), 0, 0, 8192); }},
    {"copy_file_range", [](const std::string& path) {
         const UniqueFd fd = open_for_writing(path);
         off_t from = 0, to = 4;
         return ::copy_file_range(fd.get(), &from, fd.get(), &to, 2, 0) == 2 ? 0 : -1;
     }},
    {"chown", [](const std::string& path) { return ::chown(path.c_str(), 1234, 1234); }},
};

}  // namespace

// The kernel asks for the capability before it lets a file be changed, and then remembers that there is none. It is set
// here where neither the kernel nor the filter sees it, while the file is closed: nothing is remembered of it then.
TEST_CASE("filter: a capability that goes with a change is recorded, though the kernel has not asked for it", "[mount]") {
    for (const Way& way : ways) {
        INFO(way.what);
        FilterMount mount(Recording::journal);
        write_some(open_for_writing(mount / "f").get());
        struct stat status {};
        REQUIRE(::stat((mount / "f").c_str(), &status) == 0);
        write_some(open_for_writing(mount / "f").get());
        mount.await_closed("f");
        set_capability(mount.backing("f"));
        CHECK(way.change(mount / "f") == 0);
        CHECK(!has_capability(mount.backing("f")));
        mount.unmount();
        INFO(FilterMount::types(mount.records()));
        CHECK(removals(mount.records()) == 1);
    }
}

TEST_CASE("filter: a capability that is set while a file is open goes with the next write, each time", "[mount]") {
    FilterMount mount(Recording::journal);
    UniqueFd fd = open_for_writing(mount / "f");
    write_some(fd.get());
    for (int round = 0; round < 3; ++round) {
        set_capability(mount / "f");
        write_some(fd.get());
        write_some(fd.get());
        CHECK(!has_capability(mount.backing("f")));
    }
    fd.reset();
    mount.unmount();
    CHECK(removals(mount.records()) == 3);
}

}  // namespace holdfast::test
