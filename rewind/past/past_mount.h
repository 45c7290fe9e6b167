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
    // DIRECTORY must exist. Errors: unsupported (no FUSE), io, permission, not_found.
    static Result<std::unique_ptr<PastMount>> mount(const PastSource& source, const Clock& clock,
                                                    const journal::VolumeId& volume, const std::string& directory);
    // Answers what is in hand and detaches. Whoever still has something open in it gets errors from then on.
    ~PastMount();

    const std::string& directory() const { return directory_; }
    // Somebody has unmounted it.
    bool has_ended() const { return running_.load() == 0; }
    // As umount(8) does. Errors: busy (somebody uses it), io.
    Status unmount();
    const PastFilesystem& filesystem() const { return filesystem_; }

private:
    PastMount(const PastSource& source, const Clock& clock, std::string directory)
        : directory_(std::move(directory)), filesystem_(source, clock) {}
    Status start(const journal::VolumeId& volume);
    void serve();

    const std::string directory_;
    PastFilesystem filesystem_;
    fuse_session* session_ = nullptr;
    bool mounted_ = false;
    UniqueFd stop_;
    std::vector<std::thread> threads_;
    std::atomic<int> running_{0};
};

// Takes away mounts of VOLUME's past whose process is gone. REQUIRES: no living process serves them, which holds for
// whoever has the volume's store open. Returns where they were.
std::vector<std::string> detach_dead_mounts(const journal::VolumeId& volume);

}  // namespace holdfast::rewind
