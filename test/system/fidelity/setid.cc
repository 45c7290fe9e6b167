// Set-user-id, set-group-id and file capabilities: when they go and when they stay.
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

// cap_net_raw=ep, revision 2.
constexpr unsigned char capability[20] = {0x01, 0, 0, 0x02, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

struct Change {
    const char* name;
    long (*perform)(const char* path);
};

template <typename Use>
long with_open(const char* path, int flags, Use use) {
    const UniqueFd fd(::open(path, flags | O_CLOEXEC));
    if (!fd) return -1;
    return use(fd.get());
}

constexpr Change changes[] = {
    {"write", [](const char* p) { return with_open(p, O_WRONLY, [](int fd) -> long { return ::write(fd, "x", 1); }); }},
    {"write nothing", [](const char* p) { return with_open(p, O_WRONLY, [](int fd) -> long { return ::write(fd, "", 0); }); }},
    {"append", [](const char* p) { return with_open(p, O_WRONLY | O_APPEND, [](int fd) -> long { return ::write(fd, "x", 1); }); }},
    {"pwrite far", [](const char* p) { return with_open(p, O_RDWR, [](int fd) -> long { return ::pwrite(fd, "x", 1, 100000); }); }},
    {"writev", [](const char* p) {
         return with_open(p, O_WRONLY, [](int fd) -> long {
             char byte = 'x';
             const struct iovec parts[2] = {{&byte, 1}, {&byte, 1}};
             return ::writev(fd, parts, 2);
         });
     }},
    {"truncate shorter", [](const char* p) -> long { return ::truncate(p, 1); }},
    {"truncate longer", [](const char* p) -> long { return ::truncate(p, 1000); }},
    {"truncate to the same size", [](const char* p) -> long { return ::truncate(p, 8); }},
    {"ftruncate", [](const char* p) { return with_open(p, O_RDWR, [](int fd) -> long { return ::ftruncate(fd, 2); }); }},
    {"open with O_TRUNC", [](const char* p) { return with_open(p, O_RDWR | O_TRUNC, [](int) -> long { return 0; }); }},
    {"fallocate", [](const char* p) { return with_open(p, O_RDWR, [](int fd) -> long { return ::fallocate(fd, 0, 0, 8192); }); }},
    {"punch", [](const char* p) {
         return with_open(p, O_RDWR, [](int fd) -> long { return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4); });
     }},
    {"copy_file_range", [](const char* p) {
         const UniqueFd source(::open("source", O_RDONLY));
         const int in = source.get();
         const UniqueFd fd(::open(p, O_WRONLY));
         if (!fd) return -1L;
         return static_cast<long>(::copy_file_range(in, nullptr, fd.get(), nullptr, 3, 0));
     }},
    {"sendfile", [](const char* p) {
         const UniqueFd source(::open("source", O_RDONLY));
         const UniqueFd fd(::open(p, O_WRONLY));
         if (!fd) return -1L;
         return static_cast<long>(::sendfile(fd.get(), source.get(), nullptr, 3));
     }},
    {"chmod to the same", [](const char* p) -> long { return ::chmod(p, 06777); }},
    {"chown to the owner", [](const char* p) -> long { return ::chown(p, alice.uid, static_cast<gid_t>(-1)); }},
    {"chown to the group", [](const char* p) -> long { return ::chown(p, static_cast<uid_t>(-1), shared_group); }},
    {"chown to nothing", [](const char* p) -> long { return ::chown(p, static_cast<uid_t>(-1), static_cast<gid_t>(-1)); }},
    {"utimensat", [](const char* p) -> long { return ::utimensat(AT_FDCWD, p, nullptr, 0); }},
    {"setxattr", [](const char* p) -> long { return ::setxattr(p, "user.x", "1", 1, 0); }},
    {"link", [](const char* p) -> long { return ::link(p, "another"); }},
    {"rename", [](const char* p) -> long { return ::rename(p, "another") != 0 ? -1 : ::rename("another", p); }},
    {"read", [](const char* p) { return with_open(p, O_RDONLY, [](int fd) -> long { char byte; return ::read(fd, &byte, 1); }); }},
};

void see_capability(const std::string& path) {
    char buffer[64];
    const ssize_t size = ::getxattr(path.c_str(), "security.capability", buffer, sizeof buffer);
    say("capability of " + path, size >= 0 ? printf_string("%zd bytes", size) : errno_name(errno));
}

void each_change(mode_t mode, bool with_capability) {
    int number = 0;
    for (const User* user : {&alice, &bob, &carol, static_cast<const User*>(nullptr)}) {
        for (const Change& change : changes) {
            const std::string base = printf_string("m%o-%d%s", mode, number++, with_capability ? "c" : "");
            make_directory(base, 0777);
            if (::chdir(base.c_str()) != 0) return say("chdir", errno_name(errno));
            make_file("source", 0644, "source");
            make_file("f", 0666, "contents");
            give("f", alice.uid, shared_group);
            ::chmod("f", mode);
            if (with_capability && ::setxattr("f", "security.capability", capability, sizeof capability, 0) != 0) {
                say("setxattr of the capability", errno_name(errno));
            }
            const std::string label = printf_string("%s, mode %o", change.name, mode);
            const auto action = [&] { SEE_AS(label, change.perform("f")); };
            if (user != nullptr) {
                as(*user, action);
            } else {
                action();
            }
            see_mode("f");
            if (with_capability) see_capability("f");
            if (::chdir("..") != 0) return say("chdir", errno_name(errno));
        }
    }
}

void cleared_on_change() {
    for (const mode_t mode : {06777, 04777, 02777, 02767, 06666}) each_change(mode, false);
}

void capabilities_cleared() { each_change(0777, true); }
void capabilities_and_bits() { each_change(06777, true); }

void mappings() {
    make_file("f", 0666, std::string(4096, 'a'));
    give("f", alice.uid, alice.gid);
    ::chmod("f", 06777);
    as(bob, [] {
        const UniqueFd fd = open_file("f", O_RDWR);
        char* map = static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
        map[0] = 'b';
        SEE(msync(map, 4096, MS_SYNC));
        ::munmap(map, 4096);
    });
    see_mode("f");
}

void capability_errors() {
    make_file("f", 0755);
    give("f", alice.uid, alice.gid);
    as(alice, [] {
        SEE(setxattr("f", "security.capability", capability, sizeof capability, 0));
        SEE(removexattr("f", "security.capability"));
    });
    SEE(setxattr("f", "security.capability", "junk", 4, 0));
    SEE(setxattr("f", "security.capability", capability, sizeof capability, XATTR_CREATE));
    SEE(setxattr("f", "security.capability", capability, sizeof capability, XATTR_CREATE));
    see_capability("f");
    SEE(chown("f", bob.uid, bob.gid));
    see_capability("f");
    SEE(removexattr("f", "security.capability"));
    make_directory("d");
    SEE(setxattr("d", "security.capability", capability, sizeof capability, 0));
    SEE(chown("d", 1, 1));
    see_capability("d");
}

// Many small writes: the first clears the bits, the others must go on working.
void repeated_writes() {
    make_file("f", 0666);
    give("f", alice.uid, alice.gid);
    as(bob, [] {
        const UniqueFd fd = open_file("f", O_WRONLY | O_APPEND);
        for (int i = 0; i < 10; ++i) {
            if (::write(fd.get(), "0123456789", 10) != 10) say("write", errno_name(errno));
        }
    });
    ::chmod("f", 06777);
    see_mode("f");
    as(bob, [] {
        const UniqueFd fd = open_file("f", O_WRONLY | O_APPEND);
        for (int i = 0; i < 10; ++i) {
            if (::write(fd.get(), "0123456789", 10) != 10) say("write", errno_name(errno));
        }
        see_mode("f");
    });
    see_stat("f");
    // The bits come back while the file stays open.
    const UniqueFd fd = open_file("f", O_WRONLY);
    as(bob, [&] {
        SEE(write(fd.get(), "x", 1));
        see_mode("f");
    });
    ::chmod("f", 06777);
    as(bob, [&] {
        SEE(write(fd.get(), "x", 1));
        see_mode("f");
    });
}

constexpr Case cases[] = {
    {"cleared_on_change", cleared_on_change},
    {"capabilities_cleared", capabilities_cleared},
    {"capabilities_and_bits", capabilities_and_bits},
    {"mappings", mappings},
    {"capability_errors", capability_errors},
    {"repeated_writes", repeated_writes},
};

}  // namespace

extern const Topic setid_topic{"setid", cases};

}  // namespace holdfast::fidelity
