#include "rewind/service/past_mounts.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/disk.h"
#include "base/log.h"
#include "base/mount_table.h"
#include "base/name_text.h"
#include "base/small_file.h"
#include "base/text.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view list_name = "past-mounts.json";
constexpr size_t list_bytes_max = 1 << 20;
// A process that has just ended may still be on its way out of the mount.
constexpr int unmount_attempts = 10;
constexpr auto unmount_pause = std::chrono::milliseconds(50);

std::vector<std::string> read_list(const std::string& run_directory) {
    std::vector<std::string> directories;
    auto disk = open_disk(run_directory);
    if (!disk) return directories;
    auto contents = read_small_file(**disk, list_name, list_bytes_max);
    if (!contents) return directories;
    const auto json = nlohmann::json::parse(*contents, nullptr, false);
    if (!json.is_array()) return directories;
    for (const auto& item : json)
        if (item.is_string()) directories.push_back(text_to_name(item.get<std::string>()));
    return directories;
}

Result<std::string> real_directory(const std::string& directory) {
    if (!directory.starts_with('/'))
        return Error{ErrorCode::invalid_argument, quoted(directory) + " is no absolute path"};
    std::error_code failed;
    const std::string real = std::filesystem::canonical(directory, failed).native();
    if (failed) return errno_error(failed.value(), "mount the past at " + quoted(directory));
    struct stat status;
    if (::stat(real.c_str(), &status) != 0) return errno_error(errno, "look at " + quoted(real));
    if (!S_ISDIR(status.st_mode)) return Error{ErrorCode::invalid_argument, quoted(directory) + " is no directory"};
    return real;
}

}  // namespace

Status PastMounts::mount_locked(const std::string& directory) {
    auto made = HF_TRY(PastMount::mount(source_, clock_, volume_.id, directory));
    mounts_[directory] = std::move(made);
    save_locked();
    return ok();
}

void PastMounts::bring_back() {
    MutexLock lock(mutex_);
    std::error_code ignored;  // without the directory there is no list, and the socket will say why
    std::filesystem::create_directories(journal::run_directory(volume_.id), ignored);
    detach_dead_mounts(volume_.id);
    for (const std::string& directory : read_list(journal::run_directory(volume_.id))) {
        if (mounts_.size() >= past_mounts_max) break;
        Status mounted = mount_locked(directory);
        if (mounted)
            log_info("The past is mounted again at " + quoted(directory) + ".");
        else
            log_warning("The past is not mounted again at " + quoted(directory) + ": " + mounted.error().message + ".");
    }
}

Result<std::string> PastMounts::own_place() {
    MutexLock lock(mutex_);
    tidy_locked();
    if (mounts_.contains(own())) return own();
    if (::mkdir(own().c_str(), 0700) != 0 && errno != EEXIST)
        return errno_error(errno, "make directory " + quoted(own()));
    HF_TRY(mount_locked(own()));
    return own();
}

Status PastMounts::mount(const std::string& directory) {
    const std::string real = HF_TRY(real_directory(directory));
    if (!volume_.is_replica() && is_within(real, volume_.directory))
        return Error{ErrorCode::invalid_argument,
                     quoted(real) + " lies in the protected directory; choose a place outside of it"};
    if (is_within(real, volume_.store))
        return Error{ErrorCode::invalid_argument, quoted(real) + " lies in the store; choose a place outside of it"};
    MutexLock lock(mutex_);
    tidy_locked();
    if (mounts_.contains(real)) return Error{ErrorCode::exists, "the past is mounted at " + quoted(real) + " already"};
    if (mounts_.size() >= past_mounts_max)
        return Error{ErrorCode::busy,
                     "the past is mounted at " + std::to_string(mounts_.size()) + " places already; unmount some"};
    return mount_locked(real);
}

Status PastMounts::unmount(const std::string& directory) {
    // Not made canonical by asking the file system when it is one of ours as it is written.
    MutexLock lock(mutex_);
    tidy_locked();
    auto place = mounts_.find(directory);
    if (place == mounts_.end()) {
        if (auto real = real_directory(directory)) place = mounts_.find(*real);
    }
    if (place == mounts_.end() || place->first == own())
        return Error{ErrorCode::not_found, "the past of this volume is not mounted at " + quoted(directory)};
    for (int attempt = 1;; ++attempt) {
        Status done = place->second->unmount();
        if (done) break;
        if (done.error().code != ErrorCode::busy || attempt == unmount_attempts) return done;
        std::this_thread::sleep_for(unmount_pause);
    }
    mounts_.erase(place);
    save_locked();
    return ok();
}

void PastMounts::tidy() {
    MutexLock lock(mutex_);
    tidy_locked();
}

void PastMounts::tidy_locked() {
    const size_t before = mounts_.size();
    std::erase_if(mounts_, [](const auto& mount) { return mount.second->has_ended(); });
    if (mounts_.size() != before) save_locked();
}

// A list that cannot be written costs no mount now, only the next start's memory of it.
void PastMounts::save_locked() {
    auto list = nlohmann::json::array();
    for (const auto& [directory, mount] : mounts_) list.push_back(name_to_text(directory));
    Status saved = [&]() -> Status {
        auto disk = HF_TRY(open_disk(journal::run_directory(volume_.id)));
        return replace_small_file(*disk, list_name, list.dump() + "\n");
    }();
    if (!saved) log_warning("The list of mounts of the past was not saved: " + saved.error().message + ".");
}

size_t PastMounts::asked_for() const {
    MutexLock lock(mutex_);
    return mounts_.size() - mounts_.count(own());
}

void PastMounts::end() {
    MutexLock lock(mutex_);
    mounts_.clear();
}

}  // namespace holdfast::rewind
