// Operations on ranges: allocation and holes, copying without the application's hands.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

constexpr Outcome outcome_at_end = -2;  // the source has no more

uint64_t size_of(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

// Holes among the bytes that were just copied: recorded as bytes, they are zeros; this makes them holes again.
void append_holes(const Change& change, const ObjectName& object, int fd, uint64_t from, uint64_t end) {
    for (uint64_t at = from; at < end;) {
        const off_t hole = ::lseek(fd, static_cast<off_t>(at), SEEK_HOLE);
        if (hole < 0 || static_cast<uint64_t>(hole) >= end) return;
        const off_t data = ::lseek(fd, hole, SEEK_DATA);
        const uint64_t hole_end = data < 0 ? end : std::min<uint64_t>(end, static_cast<uint64_t>(data));
        journal::Record record;
        record.type = HF_FALLOCATE;
        record.object = object.id;
        record.body = journal::Fallocate{static_cast<uint64_t>(hole), hole_end - static_cast<uint64_t>(hole),
                                         HF_FALLOC_PUNCH_HOLE | HF_FALLOC_KEEP_SIZE};
        change.shared.recorder.append_or_gap(record);
        at = hole_end;
    }
}

// An allocation that fails half-way has changed what it changed: the bytes of the range are recorded as they are now.
void append_what_is(const Change& change, const ObjectName& object, uint64_t offset, uint64_t length, uint64_t size_before) {
    const auto readable = change.shared.open(object.node, O_RDONLY | O_NOATIME);
    if (!readable) return;
    const int fd = readable->get();
    const uint64_t size = size_of(fd);
    if (size != size_before) {
        journal::Record record;
        record.type = HF_TRUNCATE;
        record.object = object.id;
        record.body = journal::Truncate{size};
        change.shared.recorder.append_or_gap(record);
    }
    const uint64_t end = std::min(size, offset + length);
    Buffer& buffer = change.thread.data;
    for (uint64_t at = offset; at < end;) {
        const size_t wanted = std::min<uint64_t>(end - at, protocol::data_bytes_max);
        const ssize_t got = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(at));
        if (got <= 0) break;
        journal::Record record;
        record.type = HF_WRITE;
        record.object = object.id;
        record.body = journal::Write{at, {buffer.data(), static_cast<size_t>(got)}};
        change.shared.recorder.append_or_gap(record);
        at += static_cast<uint64_t>(got);
    }
    if (offset < end) append_holes(change, object, fd, offset, end);
}

// Copies at most one record's worth. COPIED is what came of it; 0 at the end of the source.
Outcome copy_piece(const Change& change, const ObjectName& object, const OpenFile& from, uint64_t from_offset, const OpenFile& to,
                   int readable_to, uint64_t to_offset, size_t length, size_t& copied) {
    journal::Record record;
    record.type = HF_WRITE;
    record.object = object.id;
    record.body = journal::Write{to_offset, {}};
    IntentFacts facts;
    facts.node = object.node;
    facts.length = length;
    facts.repeatable = 1;
    Buffer& buffer = change.thread.data;
    const uint32_t room = journal::encoded_length(journal::Write{to_offset, ByteSpan(buffer.data(), length)});
    return carry_out(change, record, room, facts, [&](journal::Record& happened) -> int {
        off_t in = static_cast<off_t>(from_offset), out = static_cast<off_t>(to_offset);
        ssize_t count;
        do count = ::copy_file_range(from.fd.get(), &in, to.fd.get(), &out, length, 0);
        while (count < 0 && errno == EINTR);
        if (count < 0) return errno;
        copied = static_cast<size_t>(count);
        if (count == 0) return outcome_at_end;
        if (!change.shared.recorder.has_journal()) return 0;
        // What was written, not what the source says now: it may have been written to meanwhile.
        const ssize_t got = ::pread(readable_to, buffer.data(), copied, static_cast<off_t>(to_offset));
        if (got != count) return got < 0 ? errno : EIO;
        happened.body = journal::Write{to_offset, {buffer.data(), copied}};
        return 0;
    });
}

// A copy is recorded as the writes of what was copied, piece by piece; each piece is an operation of its own, as the bare
// file system promises no more either.
Result<uint64_t> copy(Shared& shared, Thread& thread, Request& request, const fuse_copy_file_range_in& in, Outcome& outcome) {
    OpenFilePointer from = HF_TRY(shared.file(request.node(), in.fh_in));
    OpenFilePointer to = HF_TRY(shared.file(in.nodeid_out, in.fh_out));
    thread.caller.become(request.header().uid, request.header().gid);
    const ObjectName object{to->object->node, to->object->id};
    const Change change{shared, thread, request};
    // The application's own descriptor may be good for writing only.
    const UniqueFd readable = HF_TRY(shared.open(object.node, O_RDONLY | O_NOATIME));
    uint64_t done = 0;
    while (done < in.len) {
        size_t copied = 0;
        const size_t length = std::min<uint64_t>(in.len - done, protocol::data_bytes_max);
        Gate::Passage passage(shared.gate, thread.place);
        ObjectLocks::Held held(shared.locks, {object.node, from->object->node});
        outcome = take_capability(change, object, ObjectFd(readable.get()));
        if (outcome != 0) break;
        outcome = copy_piece(change, object, *from, in.off_in + done, *to, readable.get(), in.off_out + done, length, copied);
        if (outcome != 0) break;
        to->object->has_new_times = true;
        if (shared.recorder.has_journal()) append_holes(change, object, readable.get(), in.off_out + done, in.off_out + done + copied);
        done += copied;
        // Short of what was asked for, at the end of the source or where blocks are shared only whole: so it is answered.
        if (copied < length) break;
    }
    // What was copied before something went wrong is a success; the application asks for the rest again.
    if (done > 0 || outcome == outcome_at_end) outcome = 0;
    return done;
}

template <typename Out>
Answer copy_as(Shared& shared, Thread& thread, Request& request, Out (*answer)(uint64_t)) {
    const auto* in = request.take<fuse_copy_file_range_in>();
    if (!in) return Answer::error(EIO);
    Outcome outcome = 0;
    auto done = copy(shared, thread, request, *in, outcome);
    if (!done) return failure(done.error());
    return outcome == 0 ? Answer::of(answer(*done)) : failure(outcome);
}

}  // namespace

Answer copy_range(Shared& shared, Thread& thread, Request& request) {
    return copy_as<fuse_write_out>(shared, thread, request, [](uint64_t done) { return fuse_write_out{static_cast<uint32_t>(done), 0}; });
}

Answer copy_range_64(Shared& shared, Thread& thread, Request& request) {
    return copy_as<protocol::CopyFileRangeOut>(shared, thread, request, [](uint64_t done) { return protocol::CopyFileRangeOut{done}; });
}

Answer allocate(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_fallocate_in>();
    if (!in) return Answer::error(EIO);
    auto found = shared.file(request.node(), in->fh);
    if (!found) return failure(found.error());
    OpenFile& file = **found;
    thread.caller.become(request.header().uid, request.header().gid);
    const ObjectName object{file.object->node, file.object->id};
    const Change change{shared, thread, request};
    constexpr uint32_t recordable = HF_FALLOC_KEEP_SIZE | HF_FALLOC_PUNCH_HOLE | HF_FALLOC_COLLAPSE_RANGE |
                                    HF_FALLOC_ZERO_RANGE | HF_FALLOC_INSERT_RANGE;
    const bool moves_bytes = in->mode & (HF_FALLOC_COLLAPSE_RANGE | HF_FALLOC_INSERT_RANGE);
    // Flags without a record of their own (FALLOC_FL_UNSHARE_RANGE) change no byte.
    const bool only_extents = (in->mode & ~recordable) == FALLOC_FL_UNSHARE_RANGE;
    if ((in->mode & ~recordable) != 0 && !only_extents) return Answer::error(EOPNOTSUPP);

    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {object.node});
    if (const Outcome outcome = take_capability(change, object, ObjectFd(*found))) return failure(outcome);
    const uint64_t size_before = size_of(file.fd.get());
    journal::Record record;
    record.type = HF_FALLOCATE;
    record.object = object.id;
    record.body = journal::Fallocate{in->offset, in->length, in->mode & recordable};
    IntentFacts facts;
    facts.node = object.node;
    facts.length = in->length;
    facts.size_before = size_before;
    facts.repeatable = moves_bytes ? 0 : 1;
    const auto call = [&](journal::Record&) {
        int result;
        do result = ::fallocate(file.fd.get(), static_cast<int>(in->mode), static_cast<off_t>(in->offset), static_cast<off_t>(in->length));
        while (result != 0 && errno == EINTR);
        return result == 0 ? 0 : errno;
    };
    // What makes no sense as a record makes none to the backing file system either; it says which error that is.
    const bool is_sensible = in->length > 0 && in->offset <= INT64_MAX && in->length <= INT64_MAX - in->offset;
    const Outcome outcome = is_sensible && !only_extents ? carry_out(change, record, facts, call) : call(record);
    file.object->has_new_times = true;
    if (outcome == 0) return Answer::nothing();
    if (outcome == ENOSPC || outcome == EDQUOT || outcome == EIO)
        if (shared.recorder.has_journal()) append_what_is(change, object, in->offset, in->length, size_before);
    return failure(outcome);
}

}  // namespace holdfast::fusefs
