#include "fusefs/mount_session.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/inner_binds.h"
#include "base/log.h"
#include "base/mount_trees.h"
#include "base/text.h"
#include "fusefs/filter/node_id.h"
#include "fusefs/left_out_binds.h"
#include "fusefs/mount_checks.h"
#include "fusefs/mount_table.h"
#include "journal/assembly_directory.h"

namespace holdfast::fusefs {
namespace {

constexpr size_t log_line_bytes_max = 4096;
constexpr int stacked_mounts_max = 16;

bool is_dead_mount_of(const MountEntry& entry, const std::string& directory, const std::string& store) {
    return entry.type == filesystem_type && entry.point == directory && entry.source == store;
}

}  // namespace

Result<std::optional<MountSession>> MountSession::begin(const MountOptions& options, Foreground& foreground) {
    HF_TRY(check_host());
    MountSession session;
    const std::string directory = HF_TRY(resolved_path(options.directory));
    if (!options.null_filter) {
        HF_TRY(session.open_store(options));
        HF_TRY(session.take_lock(directory));
        HF_TRY(session.clear_dead_mounts(directory));
    }
    HF_TRY(check_mount_point(directory, HF_TRY(read_mount_table())));
    if (session.volume_) HF_TRY(check_volume_paths(*session.volume_, directory));
    if (options.null_filter) session.log_.reset(::memfd_create("holdfast-log", MFD_CLOEXEC));
    if (!session.log_) return errno_error(errno, "opening the log");

    session.backing_.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!session.backing_) return errno_error(errno, "opening the directory " + quoted(directory));
    HF_TRY(check_file_handles(session.backing_.get()));
    if (auto nodes = NodeIds::learn(session.backing_.get(), 1); !nodes)
        return std::move(nodes).error().within("the directory " + quoted(directory) + " cannot be protected on its file system");
    if (options.fake) return std::optional<MountSession>();
    foreground.log_to(session.log_.get());
    HF_TRY(session.cover(options, directory));
    return std::optional<MountSession>(std::move(session));
}

Status MountSession::open_store(const MountOptions& options) {
    const std::string store = HF_TRY(resolved_path(options.source));
    volume_ = HF_TRY(journal::load_volume(store));
    HF_TRY(journal::check_is_source(*volume_, "no directory can be mounted from it: its history comes from another host. `holdfast mount-past " +
                                                  store + " DIR` shows every moment, `holdfast restore " + store + " --at now --to DIR` brings it back"));
    const std::string log = volume_->store + "/" + std::string(log_name);
    struct stat info {};
    if (::stat(log.c_str(), &info) == 0 && static_cast<uint64_t>(info.st_size) > log_bytes_max)
        (void)::rename(log.c_str(), (log + ".old").c_str());
    log_.reset(::open(log.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!log_) return errno_error(errno, "opening the log " + quoted(log));
    return ok();
}

Status MountSession::take_lock(const std::string& directory) {
    const std::string path = volume_->store + "/" + std::string(lock_name);
    lock_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock_) return errno_error(errno, "opening the lock " + quoted(path));
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return ok();
    if (errno != EWOULDBLOCK) return errno_error(errno, "locking " + quoted(path));
    // The mount table usually has the better sentence.
    HF_TRY(check_mount_point(directory, HF_TRY(read_mount_table())));
    return Error{ErrorCode::busy, "the store " + quoted(volume_->store) +
                                      " is in use: a mount of it is still ending, or it is mounted where this process cannot see it; try again"};
}

// Whoever held the lock is gone, and so a mount from this store that is still in the table is dead: nobody will ever
// answer there again. Applications that have something open on it only get errors; taking it out of sight is what an
// administrator would do next.
Status MountSession::clear_dead_mounts(const std::string& directory) {
    // One that was being put together when its supervisor died.
    Assembly::clear(journal::assembly_directory(volume_->id));
    for (int round = 0; round < stacked_mounts_max; ++round) {
        const auto table = HF_TRY(read_mount_table());
        const auto dead = std::find_if(table.begin(), table.end(), [&](const MountEntry& entry) { return is_dead_mount_of(entry, directory, volume_->store); });
        if (dead == table.end()) return ok();
        const MountEntry* newest = mount_of(table, directory);
        if (!newest || !is_dead_mount_of(*newest, directory, volume_->store)) break;  // covered by somebody else's
        log_warning("the mount at " + quoted(directory) + " was left behind by a supervisor that died; it is detached");
        if (::umount2(directory.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0)
            return errno_error(errno, "detaching the dead mount at " + quoted(directory));
    }
    return ok();
}

Status MountSession::cover(const MountOptions& options, const std::string& directory) {
    BackingPlace place = HF_TRY(backing_place(directory));
    if (volume_) place.left_out = volume_->left_out;
    const bool has_door = !place.left_out.empty();
    const std::string source = volume_ ? volume_->store : options.source;
    if (has_door) door_ = HF_TRY(Door::make(source, directory, backing_.get(), options.flags));
    else mount_ = HF_TRY(FuseMount::make(source, directory, backing_.get(), options.flags));
    if (!volume_) return ok();  // a null filter has no history that a bypass could make untrue
    Status covered = look_for_holders(options, directory, place);
    if (covered && has_door) covered = cover_with_door(options, directory);
    if (!covered) end();
    return covered;
}

// From here on nobody changes the backing tree but through the mount, and that is not there yet.
//
// Why the mount is not put over the directory at once, to be given its binds when it is served: a walk along a path that began before the bind was there
// would end beneath it, in the mount, and what it led to would be recorded.
Status MountSession::cover_with_door(const MountOptions& options, const std::string& directory) {
    if (!(options.flags & MS_RDONLY)) make_missing(backing_.get(), volume_->left_out);
    const NodeIds nodes = HF_TRY(NodeIds::learn(backing_.get(), volume_->origin));
    for (const std::string& path : volume_->left_out.paths()) {
        const auto left_out = directory_beneath(backing_.get(), path);
        if (!left_out) continue;  // told by make_missing()
        const ObjectName name = HF_TRY(nodes.name_at(left_out->get(), ""));
        left_out_nodes_.push_back(name.node);
    }
    assembly_.emplace(HF_TRY(Assembly::make(journal::assembly_directory(volume_->id))));
    const UniqueFd place(::open(assembly_->place().c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!place) return errno_error(errno, "open " + quoted(assembly_->place()));
    mount_ = HF_TRY(FuseMount::make_at(assembly_->place(), place.get(), volume_->store, directory, backing_.get(), options.flags));
    return ok();
}

void MountSession::opened() {
    assembly_.reset();
    door_->answer();
}

bool MountSession::close_door() {
    if (mount_->is_at_directory()) return false;
    if (door_->is_on_top()) door_->remove();
    return true;
}

size_t MountSession::binds() const {
    const auto table = read_mount_table();
    return table ? inner_binds(*table, mount_->directory(), filesystem_type).size() : 0;
}

Status MountSession::look_for_holders(const MountOptions& options, const std::string& directory, const BackingPlace& place) {
    const auto holders = find_holders(place, ::getpid());
    if (holders.empty()) return ok();
    const std::string who = describe(holders);
    if (!options.allow_bypass)
        return Error{ErrorCode::busy, quoted(directory) + " is in use, and what is done through that would not be recorded: " + who +
                                          "; end it first, or mount with -o allow_bypass (then no moment of the session can be gone back to)"};
    bypass_ = "around the mount: " + who;
    log_warning(quoted(directory) + " is mounted although it can be changed " + bypass_);
    return ok();
}

uint64_t MountSession::log_end() const {
    struct stat info {};
    return ::fstat(log_.get(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

std::string MountSession::last_log_line_since(uint64_t start) const {
    const uint64_t end = log_end();
    if (end <= start) return {};
    start = std::max(start, end - std::min<uint64_t>(end, log_line_bytes_max));
    std::string text(end - start, '\0');
    const ssize_t got = ::pread(log_.get(), text.data(), text.size(), static_cast<off_t>(start));
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t newline = text.rfind('\n');
    if (newline != std::string::npos) text.erase(0, newline + 1);
    for (const std::string_view name : {"mount.fuse.holdfast: ", "holdfast-store: "})
        if (text.starts_with(name)) text.erase(0, name.size());
    return text;
}

void MountSession::end() {
    // Detached rather than unmounted: somebody may already wait for an answer in it, and would make it busy. What is bound in it goes along.
    if (mount_) {
        mount_->detach();
        mount_->close_device();
    }
    assembly_.reset();
    if (!door_) return;
    if (door_->is_on_top()) door_->remove();
    door_->answer();
    door_->close();
}

}  // namespace holdfast::fusefs
