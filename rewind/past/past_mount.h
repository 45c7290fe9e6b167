// One mount of the past: a FUSE session of its own, served by a few threads of this process.
//
// It ends when somebody unmounts it (umount(8), or unmount() here) or when this object goes. When the process is
// killed, the mount stays behind dead (ENOTCONN) until detach_dead_mounts() of the next start takes it away.
//
// Mounted read-only, nosuid, nodev, with permission checks by the kernel, for all users. The type is
// fuse.holdfast-past and the source the volume's id, by which mounts are recognized in the mount table without touching
// them.
//
// Thread rule: methods from any thread. SOURCE outlives the mount.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/ids.h"
#include "rewind/past/past_filesystem.h"

struct fuse_session;

namespace holdfast::rewind {

inline constexpr const char* past_mount_type = "fuse.holdfast-past";
inline constexpr int past_threads = 6;

class PastMount {
public:
    using Detach = std::function<void()>;

    // Serves what mount_past_device() mounted at DIRECTORY. DETACH takes the mount away, without regard to who uses it. Errors: io.
    static Result<std::unique_ptr<PastMount>> serve(const PastSource& source, const Clock& clock, UniqueFd device,
                                                    const std::string& directory, Detach detach);
    // Both in this process. Errors: those of mount_past_device().
    static Result<std::unique_ptr<PastMount>> mount(const PastSource& source, const Clock& clock,
                                                    const journal::VolumeId& volume, const std::string& directory);
    // Answers what is in hand and detaches. Whoever still has something open in it gets errors from then on.
    ~PastMount();

    const std::string& directory() const { return directory_; }
    // Somebody has unmounted it.
    bool has_ended() const { return running_.load() == 0; }
    const PastFilesystem& filesystem() const { return filesystem_; }

private:
    PastMount(const PastSource& source, const Clock& clock, std::string directory, Detach detach)
        : directory_(std::move(directory)), filesystem_(source, clock), detach_(std::move(detach)) {}
    Status start(UniqueFd device);
    void answer();
    bool is_connected() const;

    const std::string directory_;
    PastFilesystem filesystem_;
    const Detach detach_;
    fuse_session* session_ = nullptr;
    UniqueFd stop_;
    std::vector<std::thread> threads_;
    std::atomic<int> running_{0};
};

// Mounts an empty shell of VOLUME's past at DIRECTORY, which must exist; whoever serves the device that is returned gives it its content.
// Errors: unsupported (no FUSE), io, permission, not_found.
Result<UniqueFd> mount_past_device(const journal::VolumeId& volume, const std::string& directory);
// As umount(8) does. Errors: busy (somebody uses it), io. EINVAL: nothing is mounted there.
Status unmount_past(const std::string& directory);
// At once, whoever uses it.
void detach_past(const std::string& directory);

// Takes away mounts of VOLUME's past whose process is gone. REQUIRES: no living process serves them, which holds for
// whoever has the volume's store open. Returns where they were.
std::vector<std::string> detach_dead_mounts(const journal::VolumeId& volume);

}  // namespace holdfast::rewind
