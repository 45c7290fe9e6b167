// One FUSE mount: its device descriptor and its place in the mount table.
//
// Nothing here touches a path inside the mount: whoever keeps the device must never wait for a request that only the
// filter can answer.
// Thread rule: one thread. Ownership: the descriptor; the mount outlives the object unless detach() is called.
#pragma once

#include <string>

#include "base/mount_table.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::fusefs {

class FuseMount {
public:
    // Covers DIRECTORY. BACKING_FD is a descriptor of that directory, opened before: what is mounted over is exactly
    // what was opened. FLAGS as for mount(2); those that restrict the backing mount (read-only, nosuid, nodev,
    // noexec) are added, so that covering a directory never grants what it denied.
    static Result<FuseMount> make(const std::string& source, const std::string& directory, int backing_fd, unsigned long flags);

    // The same, mounted somewhere else for now: on the directory PLACE_FD, which is at PLACE. It is to cover DIRECTORY later.
    static Result<FuseMount> make_at(const std::string& place, int place_fd, const std::string& source, const std::string& directory, int backing_fd,
                                     unsigned long flags);

    int device_fd() const { return device_.get(); }
    const std::string& directory() const { return directory_; }

    // Whether ENTRY is this mount. Its device number alone does not tell: it is free again when the mount is gone, and the kernel gives it to the next
    // mount, which may be another volume's. Only one mount has a store, whose lock its supervisor keeps.
    bool is_this(const MountEntry& entry) const;

    bool is_mounted() const;
    bool is_at_directory() const;
    // An ordinary unmount, with what is bound in it. Errors: busy, also when something else is mounted over it; not_found: it is gone.
    Status unmount();
    // Takes the mount out of sight even while it is in use; requests under way end with an error. Nothing when somebody else's mount is over it.
    void detach();
    // Gives up the device; when nobody else holds it, the connection ends.
    void close_device() { device_.reset(); }

private:
    FuseMount(UniqueFd device, std::string source, std::string directory, std::string instance)
        : device_(std::move(device)), source_(std::move(source)), directory_(std::move(directory)), instance_(std::move(instance)) {}

    // Where it can be taken away. Errors: as unmount().
    Result<std::string> point() const;

    UniqueFd device_;
    std::string source_;
    std::string directory_;
    std::string instance_;  // "major:minor" of this mount: tells it apart from an earlier one of the same store
};

// Changes the flags of the mount of ours at DIRECTORY.
Status remount(const std::string& directory, unsigned long flags);

}  // namespace holdfast::fusefs
