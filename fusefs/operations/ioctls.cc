// ioctl: the inode flags that chattr shows and sets (immutable and append-only among them), passed through to the backing
// file. They are no part of history: the journal has no record for them (docs/fidelity.md). Everything else is ENOTTY.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

struct Known {
    unsigned command;
    size_t bytes;  // of its argument, whatever the number says
    bool sets;
};
// FS_IOC_GETVERSION tells the generation; setting it would change by what the object is known, so that is not offered.
constexpr Known known[] = {
    {FS_IOC_GETFLAGS, sizeof(int), false},
    {FS_IOC_SETFLAGS, sizeof(int), true},
    {FS_IOC_FSGETXATTR, sizeof(fsxattr), false},
    {FS_IOC_FSSETXATTR, sizeof(fsxattr), true},
    {FS_IOC_GETVERSION, sizeof(int), false},
};

const Known* find(unsigned command) {
    for (const Known& row : known)
        if (row.command == command) return &row;
    return nullptr;
}

}  // namespace

Answer control(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_ioctl_in>();
    if (!in) return Answer::error(EIO);
    const Known* row = find(in->cmd);
    if (!row || (in->flags & FUSE_IOCTL_UNRESTRICTED)) return Answer::error(ENOTTY);
    auto file = shared.file(request.node(), in->fh);
    if (!file) return failure(file.error());
    thread.caller.become(request.header().uid, request.header().gid);
    alignas(8) std::byte argument[sizeof(fsxattr) + 8] = {};
    if (row->sets) {
        const ByteSpan given = request.take_bytes(in->in_size);
        if (given.size() < row->bytes) return Answer::error(EINVAL);
        std::memcpy(argument, given.data(), row->bytes);
    }
    if (::ioctl((*file)->fd.get(), in->cmd, argument) < 0) return Answer::error(errno);
    fuse_ioctl_out out{};
    const size_t answered = row->sets ? 0 : std::min<size_t>(in->out_size, sizeof argument);
    std::memcpy(thread.data.data(), &out, sizeof out);
    std::memcpy(thread.data.data() + sizeof out, argument, answered);
    return Answer::data({thread.data.data(), sizeof out + answered});
}

}  // namespace holdfast::fusefs
