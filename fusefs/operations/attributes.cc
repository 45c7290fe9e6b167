// Changing attributes and size. One request may ask for several changes; each is carried out and recorded on its own.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

constexpr uint32_t changes_asked = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME |
                                   FATTR_ATIME_NOW | FATTR_MTIME_NOW | FATTR_CTIME;

IntentFacts facts_of(const ObjectName& object) {
    IntentFacts facts;
    facts.node = object.node;
    facts.repeatable = 1;
    return facts;
}

journal::Record setattr_record(const ObjectName& object, const journal::Attributes& attributes) {
    journal::Record record;
    record.type = HF_SETATTR;
    record.object = object.id;
    record.body = journal::SetAttr{attributes};
    return record;
}

// Puts what the attributes in VALID are now into the record.
int describe_now(journal::Record& happened, const ObjectFd& fd, uint32_t valid) {
    struct stat status {};
    if (::fstatat(fd.get(), "", &status, AT_EMPTY_PATH) != 0) return errno;
    happened.body = journal::SetAttr{to_record(status, valid)};
    return 0;
}

Outcome change_size(const Change& change, const ObjectName& object, const ObjectFd& fd, const fuse_setattr_in& in) {
    if (const Outcome taken = take_for_new_bytes(change, object, fd, in.valid & FATTR_KILL_SUIDGID)) return taken;
    journal::Record record;
    record.type = HF_TRUNCATE;
    record.object = object.id;
    record.body = journal::Truncate{in.size};
    IntentFacts facts = facts_of(object);
    struct stat before {};
    if (::fstatat(fd.get(), "", &before, AT_EMPTY_PATH) == 0) facts.size_before = static_cast<uint64_t>(before.st_size);
    OpenFilePointer file;
    if (in.valid & FATTR_FH) {
        auto found = change.shared.file(object.node, in.fh);
        if (!found) return errno_of(found.error());
        file = *found;
    }
    const Outcome outcome = carry_out(change, record, facts, [&](journal::Record&) {
        // The two calls differ: only ftruncate() sets the times when the size stays the same.
        const int result = file ? ::ftruncate(file->fd.get(), static_cast<off_t>(in.size))
                                : ::truncate(fd.path().c_str(), static_cast<off_t>(in.size));
        return result == 0 ? 0 : errno;
    });
    if (outcome != 0) return outcome;
    if (file)
        file->object->has_new_times = true;
    else if (!change.shared.record_times(object, fd.get()))
        change.shared.times.note(object, change.shared.clock.monotonic_ns());
    return 0;
}

// The system call takes set-id bits of files that are not directories; the record says which mode resulted.
Outcome change_owner(const Change& change, const ObjectName& object, const ObjectFd& fd, const fuse_setattr_in& in) {
    struct stat before {};
    if (::fstatat(fd.get(), "", &before, AT_EMPTY_PATH) != 0) return errno;
    const bool has_privileges = !S_ISDIR(before.st_mode);
    if (has_privileges)
        if (const Outcome outcome = take_capability(change, object, fd)) return outcome;
    const uid_t uid = in.valid & FATTR_UID ? in.uid : static_cast<uid_t>(-1);
    const gid_t gid = in.valid & FATTR_GID ? in.gid : static_cast<gid_t>(-1);
    journal::Attributes wanted{};
    if (in.valid & FATTR_UID) wanted.valid |= HF_ATTR_UID, wanted.uid = uid;
    if (in.valid & FATTR_GID) wanted.valid |= HF_ATTR_GID, wanted.gid = gid;
    // Our thread may do what members of the group may; a caller who is none loses the bit here too.
    const uint32_t caller_uid = change.request.header().uid;
    const bool keeps_locking_bit = caller_uid == 0 || caller_is_member(change.request, before.st_gid);
    const auto call = [&](journal::Record& happened) -> int {
        if (::fchownat(fd.get(), "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) return errno;
        return describe_now(happened, fd, HF_ATTR_UID | HF_ATTR_GID | HF_ATTR_MODE);
    };
    const Outcome outcome = carry_out(change, setattr_record(object, wanted), facts_of(object), call);
    if (outcome != 0) return outcome;
    if (has_privileges && (before.st_mode & S_ISGID) && !(before.st_mode & S_IXGRP) && !keeps_locking_bit)
        return change_mode(change, object, fd, before.st_mode & ~(S_ISUID | S_ISGID));
    return 0;
}

Outcome change_times(const Change& change, const ObjectName& object, const ObjectFd& fd, const fuse_setattr_in& in) {
    timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    uint32_t valid = 0;
    if (in.valid & FATTR_ATIME) {
        times[0] = {static_cast<time_t>(in.atime), static_cast<long>(in.atimensec)};
        if (in.valid & FATTR_ATIME_NOW) times[0].tv_nsec = UTIME_NOW;
        valid |= HF_ATTR_ATIME;
    }
    if (in.valid & FATTR_MTIME) {
        times[1] = {static_cast<time_t>(in.mtime), static_cast<long>(in.mtimensec)};
        if (in.valid & FATTR_MTIME_NOW) times[1].tv_nsec = UTIME_NOW;
        valid |= HF_ATTR_MTIME;
    }
    journal::Attributes wanted{};
    wanted.valid = valid;
    wanted.atime_ns = nanoseconds({static_cast<time_t>(in.atime), static_cast<long>(in.atimensec)});
    wanted.mtime_ns = nanoseconds({static_cast<time_t>(in.mtime), static_cast<long>(in.mtimensec)});
    const auto call = [&](journal::Record& happened) -> int {
        if (::utimensat(fd.get(), "", times, AT_EMPTY_PATH) != 0) return errno;
        return describe_now(happened, fd, valid);
    };
    return carry_out(change, setattr_record(object, wanted), facts_of(object), call);
}

// Nothing asked for: the kernel's way of saying that privileges must go. Two things lead here. Before somebody writes to
// the file or cuts it, what cannot stay in his hands goes, whoever he is. And chown() to nobody takes everything, but
// only the owner may: where bits would go the bare file system sees a change of mode in it. Which of the two it is, only
// the system call says that the process waits in.
Outcome drop_privileges(const Change& change, const ObjectName& object, const ObjectFd& fd, const fuse_setattr_in& in) {
    const fuse_in_header& header = change.request.header();
    if (is_in_chown(header.pid)) {
        struct stat status {};
        if (::fstatat(fd.get(), "", &status, AT_EMPTY_PATH) != 0) return errno;
        const bool loses_bits = !S_ISDIR(status.st_mode) && ((status.st_mode & S_ISUID) || (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
                                                             ((status.st_mode & S_ISGID) && !caller_is_member(change.request, status.st_gid)));
        if (loses_bits && header.uid != status.st_uid && !has_capability(header.pid, header.uid, CAP_FOWNER)) return EPERM;
        return change_owner(change, object, fd, in);
    }
    return header.uid == 0 ? take_capability(change, object, fd) : take_privileges(change, object, fd);
}

Outcome change_all(const Change& change, const ObjectName& object, const ObjectFd& fd, const fuse_setattr_in& in) {
    if ((in.valid & changes_asked) == 0) return drop_privileges(change, object, fd, in);
    if (in.valid & FATTR_SIZE)
        if (const Outcome outcome = change_size(change, object, fd, in)) return outcome;
    if (in.valid & (FATTR_UID | FATTR_GID))
        if (const Outcome outcome = change_owner(change, object, fd, in)) return outcome;
    if (in.valid & FATTR_MODE)
        if (const Outcome outcome = change_mode(change, object, fd, in.mode)) return outcome;
    const bool is_explicit = !(in.valid & FATTR_SIZE) || ((in.valid & FATTR_MTIME) && !(in.valid & FATTR_MTIME_NOW));
    if ((in.valid & (FATTR_ATIME | FATTR_MTIME)) && is_explicit)
        if (const Outcome outcome = change_times(change, object, fd, in)) return outcome;
    return 0;
}

}  // namespace

Answer set_attributes(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_setattr_in>();
    if (!in) return Answer::error(EIO);
    thread.caller.become(request.header().uid, request.header().gid);
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    auto object = shared.name(request.node(), fd->get());
    if (!object) return failure(object.error());
    {
        Gate::Passage passage(shared.gate, thread.place);
        ObjectLocks::Held held(shared.locks, {object->node});
        const Outcome outcome = change_all({shared, thread, request}, *object, *fd, *in);
        if (outcome != 0) return failure(outcome);
    }
    struct stat status {};
    if (::fstatat(fd->get(), "", &status, AT_EMPTY_PATH) != 0) return Answer::error(errno);
    return Answer::of(attributes_answer(status));
}

}  // namespace holdfast::fusefs
