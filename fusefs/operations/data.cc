// Reading and writing bytes: the hot requests.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/write_at.h"
#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

// With O_DIRECT the bare file system refuses what is not aligned to its blocks. Where our descriptor is not O_DIRECT it
// would be taken, so the rule is kept here; the alignment of the caller's memory cannot be seen.
bool breaks_direct_alignment(const OpenFile& file, uint64_t offset, uint64_t length) {
    struct statx found {};
    if (::statx(file.fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &found) != 0) return false;
    if (!(found.stx_mask & STATX_DIOALIGN) || found.stx_dio_offset_align == 0) return false;
    return (offset | length) % found.stx_dio_offset_align != 0;
}

// The bare file system does not look at file capabilities when a shared mapping is written back, but our pwrite() takes them
// away. So they are put back; nothing of it shows in history.
class CapabilityKept {
public:
    CapabilityKept(OpenFile& file, bool from_mapping) : file_(file) {
        if (!from_mapping || file.object->has_no_capability) return;
        const ssize_t size = ::fgetxattr(file.fd.get(), capability_xattr, value_, sizeof value_);
        if (size > 0) size_ = static_cast<size_t>(size);
        if (size < 0 && errno == ENODATA) file.object->has_no_capability = true;
    }
    ~CapabilityKept() {
        if (size_ > 0) (void)::fsetxattr(file_.fd.get(), capability_xattr, value_, size_, 0);
    }
    CapabilityKept(const CapabilityKept&) = delete;
    CapabilityKept& operator=(const CapabilityKept&) = delete;

private:
    OpenFile& file_;
    char value_[64];
    size_t size_ = 0;
};

// Two flags in memory for a file that was written to before.
Outcome take_what_writing_takes(const Change& change, const ObjectName& object, const OpenFilePointer& file, const fuse_write_in& in) {
    const bool takes_bits = in.write_flags & FUSE_WRITE_KILL_SUIDGID;
    if (takes_bits) return file->object->is_unprivileged ? 0 : take_privileges(change, object, ObjectFd(file));
    if ((in.write_flags & FUSE_WRITE_CACHE) || file->object->has_no_capability) return 0;
    return take_capability(change, object, ObjectFd(file));
}

}  // namespace

Answer read_file(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_read_in>();
    if (!in || in->size > thread.data.size()) return Answer::error(EIO);
    auto file = shared.file(request.node(), in->fh);
    if (!file) return failure(file.error());
    if ((in->flags & O_DIRECT) && breaks_direct_alignment(**file, in->offset, in->size)) return Answer::error(EINVAL);
    ssize_t size;
    do size = ::pread((*file)->fd.get(), thread.data.data(), in->size, static_cast<off_t>(in->offset));
    while (size < 0 && errno == EINTR);
    if (size < 0) return Answer::error(errno);
    return Answer::data({thread.data.data(), static_cast<size_t>(size)});
}

Answer write_file(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_write_in>();
    const ByteSpan data = in ? request.take_bytes(in->size) : ByteSpan{};
    if (!in || data.size() != in->size || data.size() > protocol::data_bytes_max) return Answer::error(EIO);
    auto found = shared.file(request.node(), in->fh);
    if (!found) return failure(found.error());
    OpenFile& file = **found;
    const bool from_mapping = in->write_flags & FUSE_WRITE_CACHE;
    if ((in->flags & O_DIRECT) && !from_mapping && breaks_direct_alignment(file, in->offset, in->size))
        return Answer::error(EINVAL);
    thread.caller.become(request.header().uid, request.header().gid);
    ssize_t written = 0;
    {
        const ObjectName object{file.object->node, file.object->id};
        const Change change{shared, thread, request};
        Gate::Passage passage(shared.gate, thread.place);
        ObjectLocks::Held held(shared.locks, {object.node});
        if (const Outcome outcome = take_what_writing_takes(change, object, *found, *in)) return failure(outcome);
        CapabilityKept kept(file, from_mapping);

        journal::Record record;
        record.type = HF_WRITE;
        record.flags = from_mapping ? HF_RECORD_FROM_MMAP : 0;
        record.object = object.id;
        const uint32_t length = journal::encoded_length(journal::Write{in->offset, data});
        record.body = journal::Write{in->offset, {}};
        IntentFacts facts;
        facts.node = object.node;
        facts.length = data.size();
        facts.repeatable = 1;
        const Outcome outcome = carry_out(change, record, length, facts, [&](journal::Record& happened) {
            written = write_at(file.fd.get(), data, in->offset);
            if (written < 0) return errno;
            happened.body = journal::Write{in->offset, data.first(static_cast<size_t>(written))};
            file.object->has_new_times = true;
            return 0;
        });
        if (outcome != 0) return failure(outcome);
    }
    fuse_write_out out{};
    out.size = static_cast<uint32_t>(written);
    if (!(in->flags & O_DSYNC) || from_mapping) return Answer::of(out);
    return sync_both(shared, request, file.fd.get(), (in->flags & O_SYNC) == O_SYNC ? Sync::file : Sync::data, Answer::of(out));
}

Answer seek(Shared& shared, Thread&, Request& request) {
    const auto* in = request.take<fuse_lseek_in>();
    if (!in) return Answer::error(EIO);
    auto file = shared.file(request.node(), in->fh);
    if (!file) return failure(file.error());
    const off_t found = ::lseek((*file)->fd.get(), static_cast<off_t>(in->offset), static_cast<int>(in->whence));
    if (found < 0) return Answer::error(errno);
    fuse_lseek_out out{};
    out.offset = static_cast<uint64_t>(found);
    return Answer::of(out);
}

}  // namespace holdfast::fusefs
