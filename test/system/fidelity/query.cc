// Questions: statfs, statx, pathconf, access, inode numbers, ioctls.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <set>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void file_system() {
    struct statvfs before, after;
    // btrfs counts a block as used when the transaction that uses it is committed: fsync() is not enough, and what earlier
    // cases deleted has to be counted before. syncfs() does not come through the mount, sync() does.
    ::sync();
    SEE(statvfs(".", &before));
    say("block size", static_cast<long long>(before.f_bsize));
    say("fragment size", static_cast<long long>(before.f_frsize));
    say("longest name", static_cast<long long>(before.f_namemax));
    say("blocks", static_cast<long long>(before.f_blocks));
    make_file("f", 0644, std::string(8 << 20, 'x'));
    const UniqueFd fd = open_file("f");
    ::sync();
    SEE(fstatvfs(fd.get(), &after));
    say("fewer free blocks", after.f_bfree < before.f_bfree);
    SEE(statvfs("none", &after));
    for (const int name : {_PC_NAME_MAX, _PC_LINK_MAX, _PC_PATH_MAX, _PC_PIPE_BUF, _PC_NO_TRUNC, _PC_CHOWN_RESTRICTED, _PC_SYNC_IO, _PC_SYMLINK_MAX}) {
        if (name != _PC_LINK_MAX) SEE_AS(printf_string("pathconf %d", name), ::pathconf("f", name));
    }
}

void statx_fields() {
    make_file("f", 0640, "contents");
    give("f", 70001, 70002);
    ::symlink("f", "s");
    make_directory("d");
    for (const char* path : {"f", "s", "d"}) {
        struct statx sx {};
        SEE_AS(printf_string("statx %s", path), ::statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
        say("basic fields", (sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
        say("mode", printf_string("%o uid %u gid %u nlink %u", sx.stx_mode, sx.stx_uid, sx.stx_gid, sx.stx_nlink));
        say("block size", static_cast<long long>(sx.stx_blksize));
        if (path[0] != 'd') say("size", static_cast<long long>(sx.stx_size));
    }
    struct statx sx;
    SEE(statx(AT_FDCWD, "none", 0, STATX_BASIC_STATS, &sx));
    SEE(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &sx));
    SEE(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &sx));
    SEE(statx(AT_FDCWD, "f", 0x80000000, STATX_BASIC_STATS, &sx));
}

void inode_numbers() {
    std::set<ino_t> seen;
    for (int i = 0; i < 100; ++i) {
        const std::string name = printf_string("f%d", i);
        make_file(name);
        struct stat st;
        ::stat(name.c_str(), &st);
        seen.insert(st.st_ino);
    }
    say("different inodes", static_cast<long long>(seen.size()));
    struct stat before, after, hard;
    ::stat("f1", &before);
    ::rename("f1", "moved");
    ::stat("moved", &after);
    say("the same after a rename", before.st_ino == after.st_ino);
    ::link("moved", "hard");
    ::stat("hard", &hard);
    say("the same by another name", hard.st_ino == after.st_ino && hard.st_nlink == 2);
    struct stat here, there;
    ::stat(".", &here);
    make_directory("sub");
    ::stat("sub/..", &there);
    say("one device", here.st_dev == after.st_dev && here.st_ino == there.st_ino);
}

void access_asks_the_right_user() {
    for (const mode_t mode : {0000, 0100, 0400, 0200, 0644, 0755, 0070, 0007}) {
        make_file("f", mode);
        give("f", alice.uid, shared_group);
        ::chmod("f", mode);
        for (const User* user : {&alice, &bob, &carol, static_cast<const User*>(nullptr)}) {
            const auto ask = [mode] {
                for (const int what : {F_OK, R_OK, W_OK, X_OK, R_OK | W_OK | X_OK}) {
                    SEE_AS(printf_string("access %d, mode %o", what, mode), ::access("f", what));
                    SEE_AS("faccessat with effective ids", ::faccessat(AT_FDCWD, "f", what, AT_EACCESS));
                }
            };
            if (user != nullptr) as(*user, ask);
            else ask();
        }
        ::unlink("f");
    }
}

void generation_and_flags() {
    make_file("f");
    const UniqueFd fd = open_file("f");
    int flags = 0;
    SEE(ioctl(fd.get(), FS_IOC_GETFLAGS, &flags));
    SEE(ioctl(fd.get(), 0x12345678, &flags));
    SEE(ioctl(fd.get(), FIONREAD, &flags));
    int size = 0;
    SEE(ioctl(fd.get(), FIGETBSZ, &size));
    say("block size", size);
}

void file_status_flags() {
    for (const int flag : {0, O_APPEND, O_NONBLOCK, O_DIRECT, O_NOATIME, O_SYNC, O_DSYNC}) {
        const UniqueFd fd = open_file("f", O_RDWR | O_CREAT | flag);
        say(printf_string("flags of an open with %x", flag), printf_string("%x", ::fcntl(fd.get(), F_GETFL)));
        SEE_AS("set append", ::fcntl(fd.get(), F_SETFL, O_APPEND));
        say("flags", printf_string("%x", ::fcntl(fd.get(), F_GETFL)));
    }
}

void advice() {
    make_file("f", 0644, std::string(100000, 'x'));
    const UniqueFd fd = open_file("f");
    for (const int what : {POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM, POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, 99}) {
        SEE_AS(printf_string("advice %d", what), ::posix_fadvise(fd.get(), 0, 0, what));
    }
    SEE(readahead(fd.get(), 0, 50000));
    see_bytes("f");
}

constexpr Case cases[] = {
    {"file_system", file_system}, {"statx_fields", statx_fields}, {"inode_numbers", inode_numbers},
    {"access_asks_the_right_user", access_asks_the_right_user}, {"generation_and_flags", generation_and_flags},
    {"file_status_flags", file_status_flags}, {"advice", advice},
};

}  // namespace

extern const Topic query_topic{"query", cases};

}  // namespace holdfast::fidelity
