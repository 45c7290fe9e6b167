// What one mount holds from its first check to its end: the volume, the lock, the log, the directory beneath, and the
// FUSE mount over it. Whatever fails on the way here leaves nothing mounted and nothing changed.
//
// Thread rule: the supervisor's one thread. Ownership: all descriptors; end() takes the mount out of sight, otherwise it
// outlives the object.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fusefs/assembly.h"
#include "fusefs/bypass.h"
#include "fusefs/door.h"
#include "fusefs/foreground.h"
#include "fusefs/fuse_mount.h"
#include "fusefs/mount_options.h"
#include "journal/volume.h"

namespace holdfast::fusefs {

inline constexpr std::string_view lock_name = "lock";
inline constexpr std::string_view log_name = "log";
inline constexpr uint64_t log_bytes_max = 16 << 20;  // a longer one is set aside as log.old when a session begins

class MountSession {
public:
    // Nothing: only a check was asked for (-f) and all is well. Errors carry a sentence for the person who mounts.
    static Result<std::optional<MountSession>> begin(const MountOptions& options, Foreground& foreground);

    // Null for a null filter.
    const journal::Volume* volume() const { return volume_ ? &*volume_ : nullptr; }
    FuseMount& mount() { return *mount_; }
    const std::string& directory() const { return mount_->directory(); }
    int backing_fd() const { return backing_.get(); }
    int lock_fd() const { return lock_.get(); }  // -1 for a null filter
    int log_fd() const { return log_.get(); }
    // Not empty: who can reach the backing tree around the mount. Only with allow_bypass.
    const std::string& bypass() const { return bypass_; }

    // Where the log ends now, and the last line that a child wrote after that: its reason, without the program's name.
    uint64_t log_end() const;
    std::string last_log_line_since(uint64_t start) const;

    // False: the mount itself covers the directory from the beginning. Else something is left out, and what covers the directory is a door, until the
    // mount was put together at assembled() and moved over it.
    bool has_door() const { return door_.has_value(); }
    std::string assembled() const { return assembly_ ? assembly_->place() : ""; }
    // The mount stands at its directory: who waits at the door goes on.
    void opened();
    // Where who comes to the door after that is heard of; -1: nobody can come.
    int door_fd() const { return door_ && !assembly_ ? door_->fd() : -1; }
    void answer_door() { door_->answer(); }
    // When the mount is gone from its directory the door goes as well, and who waits there finds the directory. True: it is gone.
    bool close_door();
    // Of the directories that are left out, as the filter calls them.
    const std::vector<uint64_t>& left_out_nodes() const { return left_out_nodes_; }
    // How many directories are bound over the mount.
    size_t binds() const;

    // The mount is gone for everybody: requests under way end with an error.
    void end();

private:
    MountSession() = default;
    Status open_store(const MountOptions& options);
    Status take_lock(const std::string& directory);
    Status clear_dead_mounts(const std::string& directory);
    Status cover(const MountOptions& options, const std::string& directory);
    Status cover_with_door(const MountOptions& options, const std::string& directory);
    Status look_for_holders(const MountOptions& options, const std::string& directory, const BackingPlace& place);

    std::optional<journal::Volume> volume_;
    UniqueFd lock_, log_, backing_;
    std::optional<Door> door_;
    std::optional<FuseMount> mount_;
    std::optional<Assembly> assembly_;  // after the mount: taken away first
    std::string bypass_;
    std::vector<uint64_t> left_out_nodes_;
};

}  // namespace holdfast::fusefs
