#include "test/crash/every_call_cases.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace holdfast::test {
namespace {

long outcome(long result) { return result < 0 ? -errno : result; }

// A descriptor that is closed before the application's next step.
template <typename Act>
long with(int directory, const char* name, int flags, Act act) {
    const int fd = openat(directory, name, flags, 0640);
    if (fd < 0) return -errno;
    const long result = outcome(act(fd));
    const long closed = outcome(close(fd));
    return result < 0 ? result : closed < 0 ? closed : result;
}

void make(int directory, const char* name, size_t bytes = 10) {
    const std::string text(bytes, *name);
    with(directory, name, O_CREAT | O_WRONLY, [&](int fd) { return write(fd, text.data(), text.size()); });
}
void nothing(int) {}
void one_file(int directory) { make(directory, "a", 20000); }
void two_files(int directory) {
    make(directory, "a");
    make(directory, "b");
}
void file_and_directories(int directory) {
    make(directory, "a");
    mkdirat(directory, "d", 0755);
    mkdirat(directory, "e", 0755);
    make(directory, "e/x");
}
void set_id_file(int directory) {
    make(directory, "a");
    fchmodat(directory, "a", 06755, 0);
}
void file_with_xattr(int directory) {
    make(directory, "a");
    with(directory, "a", O_RDONLY, [](int fd) { return fsetxattr(fd, "user.old", "value", 5, 0); });
}
// Access of one more user, as setfacl would store it.
constexpr unsigned char acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 7, 0, 232, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
                                 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255};
void file_with_acl(int directory) {
    make(directory, "a");
    with(directory, "a", O_RDONLY, [](int fd) { return fsetxattr(fd, "system.posix_acl_access", acl, sizeof acl, 0); });
}

long pwrite_at(int directory, int flags, off_t offset, size_t bytes) {
    const std::string text(bytes, 'w');
    return with(directory, "a", O_WRONLY | flags, [&](int fd) { return pwrite(fd, text.data(), text.size(), offset); });
}
// Collapsing and inserting are not among the modes: the kernel's FUSE refuses them.
long allocate(int directory, int mode, off_t offset, off_t length) {
    return with(directory, "a", O_RDWR, [&](int fd) { return fallocate(fd, mode, offset, length); });
}
long move(int directory, const char* from, const char* to, unsigned flags = 0) {
    return outcome(renameat2(directory, from, directory, to, flags));
}

long write_as_another_user(int directory) {
    if (seteuid(12345) != 0) return -errno;
    const long result = pwrite_at(directory, 0, 3, 5);
    return seteuid(0) == 0 ? result : -errno;
}
long write_after_unlink(int directory) {
    return with(directory, "a", O_RDWR, [&](int fd) -> long {
        if (unlinkat(directory, "a", 0) != 0 || pwrite(fd, "late", 4, 2) != 4 || ftruncate(fd, 100) != 0) return -1;
        char read_back[7] = {};
        return pread(fd, read_back, 6, 0) == 6 && std::memcmp(read_back, "aalate", 6) == 0 ? 0 : (errno = EILSEQ, -1);
    });
}
long write_after_replacement(int directory) {
    return with(directory, "b", O_RDWR, [&](int fd) -> long {
        if (renameat(directory, "a", directory, "b") != 0) return -1;
        return pwrite(fd, "late", 4, 2);
    });
}
long nameless_gets_a_name(int directory) {
    return with(directory, ".", O_TMPFILE | O_RDWR, [&](int fd) -> long {
        if (write(fd, "nameless", 8) != 8) return -1;
        return linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), directory, "n", AT_SYMLINK_FOLLOW);
    });
}
long change_mapping(int directory) {
    return with(directory, "a", O_RDWR, [](int fd) -> long {
        void* map = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) return -1;
        std::memset(static_cast<char*>(map) + 4000, 'm', 200);
        const int synced = msync(map, 8192, MS_SYNC);
        munmap(map, 8192);
        return synced;
    });
}
long copy_inside(int directory) {
    return with(directory, "a", O_RDWR, [&](int from) {
        return with(directory, "b", O_RDWR | O_CREAT, [&](int to) {
            loff_t in = 100, out = 5000;
            return copy_file_range(from, &in, to, &out, 9000, 0);
        });
    });
}
long append_twice(int directory) {
    return with(directory, "a", O_WRONLY | O_APPEND, [](int fd) { return write(fd, "first", 5) == 5 ? write(fd, "second", 6) : -1; });
}
long set_times(int directory) {
    const timespec times[2] = {{1'500'000'000, 1}, {1'600'000'000, 2}};
    return outcome(utimensat(directory, "a", times, 0));
}
long set_xattr(int directory, const char* name, const char* value, int flags) {
    return with(directory, "a", O_RDONLY, [&](int fd) { return fsetxattr(fd, name, value, std::strlen(value), flags); });
}
long replace_as_editors_do(int directory) {
    const long written = with(directory, "a.new", O_WRONLY | O_CREAT | O_EXCL, [](int fd) { return write(fd, "edited", 6) == 6 ? fsync(fd) : -1; });
    return written < 0 ? written : move(directory, "a.new", "a");
}

constexpr CallCase cases[] = {
    {"create", nothing, [](int d) { return with(d, "n", O_WRONLY | O_CREAT, [](int fd) { return write(fd, "new", 3); }); }},
    {"create_exclusively", nothing, [](int d) { return with(d, "n", O_WRONLY | O_CREAT | O_EXCL, [](int) { return 0; }); }},
    {"create_exclusively_what_exists", one_file, [](int d) { return with(d, "a", O_WRONLY | O_CREAT | O_EXCL, [](int) { return 0; }); }},
    {"open_and_truncate", one_file, [](int d) { return with(d, "a", O_WRONLY | O_TRUNC, [](int fd) { return write(fd, "new", 3); }); }},
    {"nameless_gets_a_name", nothing, nameless_gets_a_name},
    {"mkdir", nothing, [](int d) { return outcome(mkdirat(d, "n", 0750)); }},
    {"mkdir_what_exists", file_and_directories, [](int d) { return outcome(mkdirat(d, "d", 0750)); }},
    {"mknod", nothing, [](int d) { return outcome(mknodat(d, "n", S_IFIFO | 0600, 0)); }},
    {"symlink", nothing, [](int d) { return outcome(symlinkat("some/where", d, "n")); }},
    {"link", one_file, [](int d) { return outcome(linkat(d, "a", d, "n", 0)); }},
    {"link_to_what_exists", two_files, [](int d) { return outcome(linkat(d, "a", d, "b", 0)); }},
    {"unlink", one_file, [](int d) { return outcome(unlinkat(d, "a", 0)); }},
    {"unlink_one_of_two_names", [](int d) { make(d, "a"); linkat(d, "a", d, "b", 0); }, [](int d) { return outcome(unlinkat(d, "a", 0)); }},
    {"unlink_what_is_open", one_file, write_after_unlink},
    {"rmdir", file_and_directories, [](int d) { return outcome(unlinkat(d, "d", AT_REMOVEDIR)); }},
    {"rmdir_what_is_not_empty", file_and_directories, [](int d) { return outcome(unlinkat(d, "e", AT_REMOVEDIR)); }},
    {"rename", one_file, [](int d) { return move(d, "a", "n"); }},
    {"rename_into_a_directory", file_and_directories, [](int d) { return move(d, "a", "d/n"); }},
    {"rename_a_directory", file_and_directories, [](int d) { return move(d, "e", "d/n"); }},
    {"rename_over_a_file", two_files, [](int d) { return move(d, "a", "b"); }},
    {"rename_over_what_is_open", two_files, write_after_replacement},
    {"rename_over_a_directory", file_and_directories, [](int d) { return move(d, "e", "d"); }},
    {"rename_no_replace", one_file, [](int d) { return move(d, "a", "n", RENAME_NOREPLACE); }},
    {"rename_no_replace_what_exists", two_files, [](int d) { return move(d, "a", "b", RENAME_NOREPLACE); }},
    {"rename_exchange", file_and_directories, [](int d) { return move(d, "a", "e", RENAME_EXCHANGE); }},
    {"rename_whiteout", one_file, [](int d) { return move(d, "a", "n", RENAME_WHITEOUT); }},
    {"replace_as_editors_do", one_file, replace_as_editors_do},
    {"write", one_file, [](int d) { return pwrite_at(d, 0, 5000, 9000); }},
    {"write_beyond_the_end", one_file, [](int d) { return pwrite_at(d, 0, 100000, 10); }},
    {"write_more_than_a_request", one_file, [](int d) { return pwrite_at(d, 0, 100, 1 << 20); }},
    {"write_durably", one_file, [](int d) { return pwrite_at(d, O_DSYNC, 5000, 10); }},
    {"write_clears_set_id", set_id_file, write_as_another_user},
    {"append", one_file, append_twice},
    {"change_a_mapping", one_file, change_mapping},
    {"truncate", one_file, [](int d) { return with(d, "a", O_RDWR, [](int fd) { return ftruncate(fd, 5000); }); }},
    {"extend", one_file, [](int d) { return with(d, "a", O_RDWR, [](int fd) { return ftruncate(fd, 50000); }); }},
    {"allocate", one_file, [](int d) { return allocate(d, 0, 16384, 16384); }},
    {"punch", one_file, [](int d) { return allocate(d, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192); }},
    {"zero", one_file, [](int d) { return allocate(d, FALLOC_FL_ZERO_RANGE, 4000, 9000); }},
    {"copy_file_range", one_file, copy_inside},
    {"chmod", one_file, [](int d) { return outcome(fchmodat(d, "a", 02711, 0)); }},
    {"chmod_with_acl", file_with_acl, [](int d) { return outcome(fchmodat(d, "a", 0600, 0)); }},
    {"chown", set_id_file, [](int d) { return outcome(fchownat(d, "a", 1234, 2345, 0)); }},
    {"set_times", one_file, set_times},
    {"set_xattr", one_file, [](int d) { return set_xattr(d, "user.new", "value", 0); }},
    {"create_xattr", one_file, [](int d) { return set_xattr(d, "user.new", "value", XATTR_CREATE); }},
    {"create_xattr_that_exists", file_with_xattr, [](int d) { return set_xattr(d, "user.old", "other", XATTR_CREATE); }},
    {"replace_xattr", file_with_xattr, [](int d) { return set_xattr(d, "user.old", "other", XATTR_REPLACE); }},
    {"remove_xattr", file_with_xattr, [](int d) { return with(d, "a", O_RDONLY, [](int fd) { return fremovexattr(fd, "user.old"); }); }},
    {"remove_xattr_that_is_not_there", file_with_xattr, [](int d) { return with(d, "a", O_RDONLY, [](int fd) { return fremovexattr(fd, "user.new"); }); }},
    {"set_acl", one_file, [](int d) { return with(d, "a", O_RDONLY, [](int fd) { return fsetxattr(fd, "system.posix_acl_access", acl, sizeof acl, 0); }); }},
};

}  // namespace

std::span<const CallCase> call_cases() { return cases; }

}  // namespace holdfast::test
