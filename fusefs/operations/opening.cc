// Opening, closing and making durable.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

constexpr int64_t day_ns = 24LL * 3600 * 1'000'000'000;

// Whether reading the file now would change its access time. Then the reads have to come through to the backing file;
// otherwise the kernel may go on answering them from its pages.
bool would_touch_access_time(Shared& shared, int fd, int flags) {
    if (!shared.has_atime || (flags & O_NOATIME)) return false;
    if (shared.has_strict_atime) return true;
    struct stat status {};
    if (::fstat(fd, &status) != 0) return true;
    const int64_t accessed = nanoseconds(status.st_atim);
    return accessed <= nanoseconds(status.st_mtim) || accessed <= nanoseconds(status.st_ctim) ||
           static_cast<int64_t>(shared.clock.realtime_ns()) - accessed >= day_ns;
}

// The flags with which the backing file is opened. Not passed on: O_CREAT and the like (the kernel did that), O_SYNC (we
// sync ourselves, the journal as well), O_DIRECT (its alignment is about the caller's memory, not ours).
constexpr int flags_kept = O_ACCMODE | O_NOATIME | O_NONBLOCK | O_APPEND | O_TRUNC | O_NOFOLLOW;

// O_APPEND was for the open itself, which append-only files ask of every writer. From here on the kernel says where
// each write goes; with the flag on, Linux would put every pwrite at the end, those of shared mappings too.
void drop_append(int fd, int flags) {
    if (!(flags & O_APPEND)) return;
    const int now = ::fcntl(fd, F_GETFL);
    if (now >= 0) (void)::fcntl(fd, F_SETFL, now & ~O_APPEND);
}

Outcome open_and_cut(const Change& change, const fuse_open_in& in, int flags, UniqueFd& fd) {
    Shared& shared = change.shared;
    const NodeId node = change.request.node();
    auto path = shared.object(node);
    if (!path) return errno_of(path.error());
    auto object = shared.name(node, path->get());
    if (!object) return errno_of(object.error());
    Gate::Passage passage(shared.gate, change.thread.place);
    ObjectLocks::Held held(shared.locks, {node});
    // Cutting takes file capabilities from everybody's file, root's caller included, and set-id bits where it is said.
    if (const Outcome taken = take_for_new_bytes(change, *object, *path, in.open_flags & FUSE_OPEN_KILL_SUIDGID)) return taken;
    journal::Record record;
    record.type = HF_TRUNCATE;
    record.object = object->id;
    record.body = journal::Truncate{0};
    IntentFacts facts;
    facts.node = node;
    facts.repeatable = 1;
    const Outcome outcome = carry_out(change, record, facts, [&](journal::Record&) -> int {
        auto opened = shared.open(node, flags);
        if (!opened) return errno_of(opened.error());
        fd = std::move(*opened);
        return 0;
    });
    if (outcome == 0 && shared.recorder.has_journal()) shared.times.note(*object, shared.clock.monotonic_ns());
    return outcome;
}

// The times of a file whose bytes were changed, if that was not recorded since.
void record_times_of(Shared& shared, Thread& thread, const OpenFilePointer& file) {
    const auto& object = file->object;
    if (!object->has_new_times) return;
    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {object->node});
    if (!object->has_new_times.exchange(false)) return;
    const ObjectName name{object->node, object->id};
    // No room in the journal: later. It is not worth letting a close wait.
    if (!shared.record_times(name, file->fd.get())) shared.times.note(name, shared.clock.monotonic_ns());
}

// What is closed now and was opened with a predecessor may have been changed with it.
OpenFilePointer file_to_close(Shared& shared, const Request& request, uint64_t handle) {
    if (auto file = shared.files.find(handle)) return file;
    if ((OpenFiles::flags_of(handle) & O_ACCMODE) == O_RDONLY) return nullptr;
    auto adopted = shared.file(request.node(), handle);
    return adopted ? *adopted : nullptr;
}

}  // namespace

Answer sync_both(Shared& shared, const Request& request, int fd, Sync how, const Answer& answer) {
    const journal::Lsn below = shared.replica_wait.begin();
    const uint64_t ticket = shared.journal_sync.begin();
    const int result = how == Sync::data ? ::fdatasync(fd) : how == Sync::file ? ::fsync(fd) : ::syncfs(fd);
    const int error = result == 0 ? 0 : errno;
    if (ticket != 0) shared.journal_sync.wait(ticket);
    return error == 0 ? shared.replica_wait.finish(request, below, answer) : Answer::error(error);
}

Answer open_file(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_open_in>();
    if (!in) return Answer::error(EIO);
    const int flags = static_cast<int>(in->flags) & flags_kept;
    thread.caller.become(request.header().uid, request.header().gid);
    UniqueFd fd;
    if (flags & O_TRUNC) {
        const Outcome outcome = open_and_cut({shared, thread, request}, *in, flags, fd);
        if (outcome != 0) return failure(outcome);
    } else {
        auto opened = shared.open(request.node(), flags);
        if (!opened) return failure(opened.error());
        fd = std::move(*opened);
    }
    drop_append(fd.get(), flags);
    auto object = shared.name(request.node(), fd.get());
    if (!object) return failure(object.error());
    fuse_open_out out{};
    out.open_flags = flags_of_opened(flags);
    const bool reads = (flags & O_ACCMODE) != O_WRONLY;
    if (reads && would_touch_access_time(shared, fd.get(), flags)) out.open_flags &= ~FOPEN_KEEP_CACHE;
    out.fh = shared.files.add(object->node, object->id, std::move(fd), flags)->handle;
    return Answer::of(out);
}

Answer flush_file(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_flush_in>();
    if (!in) return Answer::error(EIO);
    if (const auto file = file_to_close(shared, request, in->fh)) record_times_of(shared, thread, file);
    return Answer::nothing();
}

Answer release_file(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_release_in>();
    if (!in) return Answer::error(EIO);
    if (const auto file = file_to_close(shared, request, in->fh)) record_times_of(shared, thread, file);
    shared.files.remove(in->fh);
    return Answer::nothing();
}

Answer sync_file(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_fsync_in>();
    if (!in) return Answer::error(EIO);
    auto file = shared.file(request.node(), in->fh);
    if (!file) return failure(file.error());
    record_times_of(shared, thread, *file);
    return sync_both(shared, request, (*file)->fd.get(), in->fsync_flags & FUSE_FSYNC_FDATASYNC ? Sync::data : Sync::file, Answer::nothing());
}

Answer open_directory(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_open_in>();
    if (!in) return Answer::error(EIO);
    thread.caller.become(request.header().uid, request.header().gid);
    const int flags = O_RDONLY | O_DIRECTORY | (static_cast<int>(in->flags) & O_NOATIME);
    auto fd = shared.open(request.node(), flags);
    if (!fd) return failure(fd.error());
    auto object = shared.name(request.node(), fd->get());
    if (!object) return failure(object.error());
    fuse_open_out out{};
    out.fh = shared.files.add(object->node, object->id, std::move(*fd), flags)->handle;
    return Answer::of(out);
}

Answer release_directory(Shared& shared, Thread&, Request& request) {
    const auto* in = request.take<fuse_release_in>();
    if (!in) return Answer::error(EIO);
    shared.files.remove(in->fh);
    return Answer::nothing();
}

Answer sync_everything(Shared& shared, Thread&, Request& request) {
    return sync_both(shared, request, shared.ids.root_fd(), Sync::everything, Answer::nothing());
}

}  // namespace holdfast::fusefs
