// The places where the past is mounted now: one for the commands' own use, in the run directory, and those that were
// asked for with mount-past.
//
// Mounting itself is done outside (service/outside.h). They are listed there in a file of the run directory, so that a service that was killed and started again mounts the past
// where it was; dead mounts of its predecessor are detached first. An ordinary umount(8) takes a place off the list; a
// reboot empties the run directory.
//
// Thread rule: methods from any thread; one at a time changes anything.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "rewind/past/past_mount.h"
#include "rewind/service/outside.h"

namespace holdfast::rewind {

inline constexpr size_t past_mounts_max = 64;

class PastMounts {
public:
    // OUTSIDE and SOURCE outlive it.
    PastMounts(Outside& outside, const PastSource& source, const Clock& clock)
        : outside_(outside), source_(source), clock_(clock) {}

    // Detaches dead mounts and mounts again what is listed. A place that cannot be mounted is logged and forgotten.
    void bring_back();
    // Where the commands look at the past; mounted on first use.
    Result<std::string> own_place();
    // Errors: invalid_argument (no directory, inside the volume or its store), exists, busy, unsupported, io.
    Status mount(const std::string& directory);
    // Errors: not_found, busy (in use), io.
    Status unmount(const std::string& directory);
    // Forgets mounts that somebody has unmounted.
    void tidy();
    // Places besides the commands' own.
    size_t asked_for() const;
    // Ends all of them, but keeps the list for the next start.
    void end();

private:
    Result<std::string> mount_locked(const std::string& directory) HF_REQUIRES(mutex_);
    void tidy_locked() HF_REQUIRES(mutex_);

    Outside& outside_;
    const PastSource& source_;
    const Clock& clock_;
    mutable Mutex mutex_;
    std::string own_ HF_GUARDED_BY(mutex_);  // "": not mounted yet
    std::map<std::string, std::unique_ptr<PastMount>> mounts_ HF_GUARDED_BY(mutex_);
};

}  // namespace holdfast::rewind
