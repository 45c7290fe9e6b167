#include "fusefs/filter/shared.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#include <cerrno>

#include "base/log.h"

namespace holdfast::fusefs {

Shared::Shared(const Wiring& w, NodeIds node_ids)
    : wiring(w),
      clock(*w.clock),
      device(w.device_fd),
      ids(std::move(node_ids)),
      files(*w.clock),
      orphans(w.keeper),
      gate(w.threads + 2),  // the serving threads, the maintenance thread, and whoever calls flush_times()
      recorder(w),
      journal_sync(recorder),
      replica_wait(w, recorder, device) {
    struct statvfs info {};
    if (::fstatvfs(ids.root_fd(), &info) == 0) {
        has_atime = !(info.f_flag & ST_NOATIME);
        has_strict_atime = !(info.f_flag & ST_RELATIME);
        has_directory_atime = !(info.f_flag & ST_NODIRATIME);
    }
}

Result<ObjectFd> Shared::object(NodeId node) const {
    if (node == root_node) return ObjectFd(ids.root_fd());
    if (auto file = files.any_of(node)) return ObjectFd(std::move(file));
    if (auto orphan = orphans.find(node)) return ObjectFd(std::move(orphan));
    return ObjectFd(HF_TRY(ids.open(node, O_PATH | O_NOFOLLOW)));
}

Result<UniqueFd> Shared::open(NodeId node, int flags) const {
    const auto orphan = orphans.find(node);
    if (!orphan) return ids.open(node, flags);
    const std::string path = "/proc/self/fd/" + std::to_string(orphan->get());
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
    if (fd < 0) return errno_error(errno, "open a nameless object");
    return UniqueFd(fd);
}

Result<OpenFilePointer> Shared::file(NodeId node, uint64_t handle) {
    if (auto file = files.find(handle)) return file;
    auto opened = open(node, OpenFiles::flags_of(handle));
    // An append-only file wants every writer to say so, though what it writes where is the kernel's business by now.
    if (!opened && opened.error().sys_errno == EPERM) opened = open(node, OpenFiles::flags_of(handle) | O_APPEND);
    if (!opened) return std::move(opened).error();
    UniqueFd fd = std::move(*opened);
    const ObjectName object = HF_TRY(name(node, fd.get()));
    return files.adopt(handle, node, object.id, std::move(fd));
}

Result<ObjectName> Shared::name(NodeId node, int fd) const {
    return ObjectName{node, HF_TRY(ids.id_of(node, fd))};
}

bool Shared::record_times(const ObjectName& object, int fd) {
    if (!recorder.has_journal() || orphans.is_removed_directory(object.node)) return true;
    struct stat status {};
    if (::fstatat(fd, "", &status, AT_EMPTY_PATH) != 0) return true;
    journal::Record record;
    record.type = HF_SETATTR;
    record.object = object.id;
    record.body = journal::SetAttr{to_record(status, HF_ATTR_MTIME)};
    return recorder.append(record);
}

void Shared::take_over_times() {
    std::call_once(times_taken_over_, [this] {
        if (!wiring.changed_before) return;
        const auto changed = wiring.changed_before();
        if (!changed) return log_warning("The times of what was changed just before the capture worker was started again may not be recorded: " + changed.error().message + ".");
        for (const journal::ObjectId& object : *changed)
            if (const auto name = ids.name_of(ids.handle_of(object))) times.note(*name, 0);
    });
}

void Shared::flush_times(uint64_t before_ns, bool open) {
    if (!recorder.has_journal()) return;
    for (const ObjectName& idle : times.take_idle(before_ns)) {
        ObjectLocks::Held held(locks, {idle.node});
        auto fd = object(idle.node);
        // Gone: nobody will ask for its time.
        if (fd && !record_times(idle, fd->get())) times.note(idle, clock.monotonic_ns());
    }
    if (!open) return;
    for (const auto& changed : files.objects()) {
        if (!changed->has_new_times) continue;
        ObjectLocks::Held held(locks, {changed->node});
        if (!changed->has_new_times.exchange(false)) continue;
        auto fd = object(changed->node);
        if (fd && !record_times({changed->node, changed->id}, fd->get())) changed->has_new_times = true;
    }
}

void Shared::forget(NodeId node, size_t place) {
    // A FORGET that was read early and comes late may be about an earlier acquaintance of the kernel with this object: as
    // long as it is open, the kernel knows it.
    if (orphans.are_none() || files.object(node)) return;
    const Gate::Passage passage(gate, place);
    if (auto orphan = orphans.take(node)) end(std::move(*orphan));
}

void Shared::end(Orphan orphan) {
    times.forget(orphan.node);
    if (!orphan.is_directory && recorder.is_recording()) {
        journal::Record record;
        record.type = HF_ORPHAN_END;
        record.object = orphan.id;
        record.body = journal::OrphanEnd{};
        if (!recorder.append(record)) {
            std::lock_guard lock(unended_mutex_);
            unended_.push_back(std::move(orphan));
            return;
        }
    }
    // Only now: as long as the descriptor is kept, a successor would end it.
    if (orphan.is_kept) orphans.unkeep(ids.inode_of(orphan.node));
}

void Shared::end_the_rest() {
    std::vector<Orphan> unended;
    {
        std::lock_guard lock(unended_mutex_);
        unended.swap(unended_);
    }
    for (Orphan& orphan : unended) end(std::move(orphan));
}

}  // namespace holdfast::fusefs
