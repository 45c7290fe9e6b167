// What one mount holds from its first check to its end: the volume, the lock, the log, the directory beneath, and the
// FUSE mount over it. Whatever fails on the way here leaves nothing mounted and nothing changed.
//
// Thread rule: the supervisor's one thread. Ownership: all descriptors; end() takes the mount out of sight, otherwise it
// outlives the object.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
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
    int backing_fd() const { return backing_.get(); }
    int lock_fd() const { return lock_.get(); }  // -1 for a null filter
    int log_fd() const { return log_.get(); }
    // Not empty: who can reach the backing tree around the mount. Only with allow_bypass.
    const std::string& bypass() const { return bypass_; }

    // Where the log ends now, and the last line that a child wrote after that: its reason, without the program's name.
    uint64_t log_end() const;
    std::string last_log_line_since(uint64_t start) const;

    // The mount is gone for everybody: requests under way end with an error.
    void end();

private:
    MountSession() = default;
    Status open_store(const MountOptions& options);
    Status take_lock(const std::string& directory);
    Status clear_dead_mounts(const std::string& directory);
    Status cover(const MountOptions& options, const std::string& directory);
    Status look_for_holders(const MountOptions& options, const std::string& directory, const std::string& device,
                            const std::string& path);

    std::optional<journal::Volume> volume_;
    UniqueFd lock_, log_, backing_;
    std::optional<FuseMount> mount_;
    std::string bypass_;
};

}  // namespace holdfast::fusefs
