// The beginning and the end of a connection: what the kernel and the filter agree on.
#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

// Why each is asked for:
//   ASYNC_READ, PARALLEL_DIROPS   several requests of one file or directory at a time
//   BIG_WRITES, MAX_PAGES         up to 1 MiB in one request
//   ATOMIC_O_TRUNC                opening with O_TRUNC is one operation
//   EXPORT_SUPPORT                file handles of the mount can be opened when the kernel has forgotten the object
//   DO_READDIRPLUS (+ AUTO)       a listing brings the attributes along, where they were asked for before
//   POSIX_ACL, DONT_MASK          ACLs are checked by the kernel; umask or default ACL apply in the backing file system
//   HANDLE_KILLPRIV_V2            requests say when set-id bits must go; otherwise every write is preceded by a GETXATTR
//   SETXATTR_EXT                  the same for ACLs
//   CACHE_SYMLINKS                targets never change
//   ABORT_ERROR                   an ended connection is told apart from an unmount
//   INIT_EXT                      the flags above bit 31 exist
//   HAS_RESEND                    requests under way survive this process
//   DIRECT_IO_ALLOW_MMAP          in case of direct descriptors, mappings work beside them
// Not asked for: WRITEBACK_CACHE (the order of writes would be lost), POSIX_LOCKS and FLOCK_LOCKS (the kernel keeps the locks
// of its one host itself), AUTO_INVAL_DATA (nobody else changes the tree).
constexpr uint64_t wanted_flags =
    FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT | FUSE_DONT_MASK | FUSE_PARALLEL_DIROPS |
    FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_POSIX_ACL | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_ABORT_ERROR |
    FUSE_SETXATTR_EXT | FUSE_CACHE_SYMLINKS | FUSE_INIT_EXT | FUSE_ASYNC_DIO | protocol::init_has_resend |
    protocol::init_direct_io_allow_mmap;

// Without these the filter would not be what it promises.
constexpr uint64_t needed_flags = FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_DONT_MASK | FUSE_POSIX_ACL | FUSE_MAX_PAGES |
                                  FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_INIT_EXT;

constexpr uint16_t background_max = 64;  // reads ahead and written-back pages under way at once
constexpr uint16_t congestion = 48;

}  // namespace

Answer initialize(Shared&, Thread&, Request& request) {
    const ByteSpan body = request.rest();
    fuse_init_in in{};
    std::memcpy(&in, body.data(), std::min(sizeof in, body.size()));
    fuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    // A newer major version: the kernel asks again with ours.
    if (in.major > FUSE_KERNEL_VERSION) return Answer::of(out);
    const uint64_t offered = in.flags | (in.flags & FUSE_INIT_EXT ? uint64_t{in.flags2} << 32 : 0);
    if (in.major < FUSE_KERNEL_VERSION || (offered & needed_flags) != needed_flags) {
        log_error("This kernel's FUSE lacks what capturing needs; Linux 6.1 or newer has it.");
        return Answer::error(EPROTO);
    }
    const uint64_t flags = offered & wanted_flags;
    out.minor = std::min(in.minor, protocol::minor_max);
    out.max_readahead = in.max_readahead;
    out.flags = static_cast<uint32_t>(flags);
    out.flags2 = static_cast<uint32_t>(flags >> 32);
    out.max_background = background_max;
    out.congestion_threshold = congestion;
    out.max_write = protocol::data_bytes_max;
    out.time_gran = 1;
    out.max_pages = protocol::pages_max;
    return Answer::of(out);
}

Answer destroy(Shared&, Thread&, Request&) {
    return Answer::nothing();
}

}  // namespace holdfast::fusefs
