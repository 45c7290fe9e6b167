#include "rewind/service/past_mounts.h"

#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/text.h"

namespace holdfast::rewind {

namespace {

// A process that has just ended may still be on its way out of the mount.
constexpr int unmount_attempts = 10;
constexpr auto unmount_pause = std::chrono::milliseconds(50);

}  // namespace

Result<std::string> PastMounts::mount_locked(const std::string& directory) {
    Outside::Mounted mounted = HF_TRY(outside_.mount(directory));
    auto made = PastMount::serve(source_, clock_, std::move(mounted.device), mounted.directory,
                                 [&outside = outside_, place = mounted.directory] { outside.detach(place); });
    if (!made) {
        outside_.forget(mounted.directory);
        return std::move(made).error();
    }
    mounts_[mounted.directory] = std::move(*made);
    return mounted.directory;
}

void PastMounts::bring_back() {
    MutexLock lock(mutex_);
    for (const std::string& directory : outside_.take_over_mounts()) {
        if (mounts_.size() >= past_mounts_max) break;
        auto mounted = mount_locked(directory);
        if (mounted)
            log_info("The past is mounted again at " + quoted(directory) + ".");
        else
            log_warning("The past is not mounted again at " + quoted(directory) + ": " + mounted.error().message + ".");
    }
}

Result<std::string> PastMounts::own_place() {
    MutexLock lock(mutex_);
    tidy_locked();
    if (mounts_.contains(own_)) return own_;
    own_ = HF_TRY(mount_locked(""));
    return own_;
}

Status PastMounts::mount(const std::string& directory) {
    MutexLock lock(mutex_);
    tidy_locked();
    if (mounts_.size() >= past_mounts_max)
        return Error{ErrorCode::busy,
                     "the past is mounted at " + std::to_string(mounts_.size()) + " places already; unmount some"};
    HF_TRY(mount_locked(directory));
    return ok();
}

Status PastMounts::unmount(const std::string& directory) {
    MutexLock lock(mutex_);
    tidy_locked();
    for (int attempt = 1;; ++attempt) {
        auto done = outside_.unmount(directory);
        if (done) {
            mounts_.erase(*done);
            return ok();
        }
        if (done.error().code != ErrorCode::busy || attempt == unmount_attempts) return std::move(done).error();
        std::this_thread::sleep_for(unmount_pause);
    }
}

void PastMounts::tidy() {
    MutexLock lock(mutex_);
    tidy_locked();
}

void PastMounts::tidy_locked() {
    std::erase_if(mounts_, [&](const auto& mount) {
        if (!mount.second->has_ended()) return false;
        outside_.forget(mount.first);
        return true;
    });
}

size_t PastMounts::asked_for() const {
    MutexLock lock(mutex_);
    return mounts_.size() - mounts_.count(own_);
}

void PastMounts::end() {
    MutexLock lock(mutex_);
    mounts_.clear();
}

}  // namespace holdfast::rewind
