// The FUSE protocol as the kernel speaks it: Debian's <linux/fuse.h> (7.38) and what came after it, each with the version
// that brought it. Everything newer is guarded by name, so that a newer header takes over.
#pragma once

#include <linux/fuse.h>
#include <sys/types.h>

#include <cstdint>

namespace holdfast::fusefs::protocol {

// Requests of 7.39 and 7.45.
inline constexpr uint32_t opcode_statx = 52;
inline constexpr uint32_t opcode_copy_file_range_64 = 53;

// Answers to INIT are given for this version at most.
inline constexpr uint32_t minor_max = 45;

// INIT flags above bit 31 (sent shifted down, in flags2).
inline constexpr uint64_t init_create_supp_group = 1ULL << 34;   // 7.38
inline constexpr uint64_t init_direct_io_allow_mmap = 1ULL << 36;  // 7.39
inline constexpr uint64_t init_has_resend = 1ULL << 39;          // 7.40

// 7.40: asks for all requests under way to be sent again, marked by this bit of their unique id.
inline constexpr int notify_resend = 7;
inline constexpr uint64_t unique_resend_bit = 1ULL << 63;

// 7.39
struct StatxIn {
    uint32_t getattr_flags;
    uint32_t reserved;
    uint64_t fh;
    uint32_t flags;
    uint32_t mask;
};
struct StatxTime {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};
struct Statx {
    uint32_t mask;
    uint32_t blksize;
    uint64_t attributes;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint16_t mode;
    uint16_t spare0;
    uint64_t ino;
    uint64_t size;
    uint64_t blocks;
    uint64_t attributes_mask;
    StatxTime atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t spare2[14];
};
struct StatxOut {
    uint64_t attr_valid;
    uint32_t attr_valid_nsec;
    uint32_t flags;
    uint64_t spare[2];
    Statx stat;
};
static_assert(sizeof(StatxIn) == 24 && sizeof(Statx) == 256 && sizeof(StatxOut) == 288);

// 7.45
struct CopyFileRangeOut {
    uint64_t bytes_copied;
};

// The largest write and read that are asked for, and the buffer that a thread needs for one request.
inline constexpr uint32_t data_bytes_max = 1 << 20;
inline constexpr uint16_t pages_max = 256;
inline constexpr size_t request_bytes_max = data_bytes_max + 64 * 1024;  // an xattr of 64 KiB comes with a longer head

}  // namespace holdfast::fusefs::protocol
