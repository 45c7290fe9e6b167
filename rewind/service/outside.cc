#include "rewind/service/outside.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/disk.h"
#include "base/json_socket.h"
#include "base/log.h"
#include "base/mount_table.h"
#include "base/name_text.h"
#include "base/small_file.h"
#include "base/text.h"
#include "rewind/past/past_mount.h"
#include "rewind/service/sync_server.h"
#include "rewind/service/verbs.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view list_name = "past-mounts.json";
constexpr size_t list_bytes_max = 1 << 20;
constexpr std::string_view capture_mount_type = "fuse.holdfast";

std::set<std::string> read_list(const std::string& run_directory) {
    std::set<std::string> directories;
    auto disk = open_disk(run_directory);
    if (!disk) return directories;
    auto contents = read_small_file(**disk, list_name, list_bytes_max);
    if (!contents) return directories;
    const auto json = nlohmann::json::parse(*contents, nullptr, false);
    if (!json.is_array()) return directories;
    for (const auto& item : json)
        if (item.is_string()) directories.insert(text_to_name(item.get<std::string>()));
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

Status OutsideHere::make_room() {
    return make_room_for_supervised(volume_.id);
}

Result<UnixListener> OutsideHere::listen(Door door) {
    if (door == Door::sync) return UnixListener::open(journal::sync_socket(volume_.id), sync_connections_max);
    return UnixListener::open(journal::store_socket(volume_.id), json_connections_max);
}

Status OutsideHere::sync_capture() {
    HF_TRY(json_call(journal::capture_socket(volume_.id), {{"verb", "sync"}}));
    return ok();
}

Result<UniqueFd> OutsideHere::open_healing() {
    return connect_unix(journal::heal_socket(volume_.id));
}

std::vector<std::string> OutsideHere::take_over_mounts() {
    std::error_code ignored;  // without the directory there is no list, and the socket will say why
    std::filesystem::create_directories(journal::run_directory(volume_.id), ignored);
    detach_dead_mounts(volume_.id);
    before_ = read_list(journal::run_directory(volume_.id));
    return {before_.begin(), before_.end()};
}

Result<std::string> OutsideHere::place_for(const std::string& directory) {
    const std::string real = HF_TRY(real_directory(directory));
    if (!volume_.is_replica() && is_within(real, volume_.directory))
        return Error{ErrorCode::invalid_argument,
                     quoted(real) + " lies in the protected directory; choose a place outside of it"};
    if (is_within(real, volume_.store))
        return Error{ErrorCode::invalid_argument, quoted(real) + " lies in the store; choose a place outside of it"};
    // What is mounted again was wanted before.
    if (!before_.contains(directory)) HF_TRY(check_wanted(directory));
    return real;
}

Result<Outside::Mounted> OutsideHere::mount(const std::string& directory) {
    const bool is_own = directory.empty();
    if (is_own && ::mkdir(own().c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make directory " + quoted(own()));
    const std::string place = is_own ? own() : HF_TRY(place_for(directory));
    if (mounted_.contains(place)) return Error{ErrorCode::exists, "the past is mounted at " + quoted(place) + " already"};
    UniqueFd device = HF_TRY(mount_past_device(volume_.id, place));
    mounted_.insert(place);
    if (!is_own) listed_.insert(place);
    save_list();
    return Mounted{place, std::move(device)};
}

Result<std::string> OutsideHere::unmount(const std::string& directory) {
    // Not made canonical by asking the file system when it is one of ours as it is written.
    std::string place = directory;
    if (!mounted_.contains(place))
        if (auto real = real_directory(directory)) place = *real;
    if (!mounted_.contains(place) || place == own())
        return Error{ErrorCode::not_found, "the past of this volume is not mounted at " + quoted(directory)};
    Status done = unmount_past(place);
    // Not mounted any more: somebody was faster.
    if (!done && done.error().sys_errno != EINVAL) return std::move(done).error();
    forget(place);
    return place;
}

void OutsideHere::detach(const std::string& directory) {
    if (mounted_.erase(directory) == 1) detach_past(directory);
}

void OutsideHere::forget(const std::string& directory) {
    mounted_.erase(directory);
    if (listed_.erase(directory) == 1) save_list();
}

// A list that cannot be written costs no mount now, only the next start's memory of it.
void OutsideHere::save_list() {
    auto list = nlohmann::json::array();
    for (const std::string& directory : listed_) list.push_back(name_to_text(directory));
    Status saved = [&]() -> Status {
        auto disk = HF_TRY(open_disk(journal::run_directory(volume_.id)));
        return replace_small_file(*disk, list_name, list.dump() + "\n");
    }();
    if (!saved) log_warning("The list of mounts of the past was not saved: " + saved.error().message + ".");
}

Result<RestorePlace> OutsideHere::bring_in(const std::string& destination) {
    HF_TRY(check_wanted(destination));
    return find_restore_place(destination);
}

// The newest mount at the directory must be capture's, or what is done there would not be recorded.
Result<UniqueFd> OutsideHere::open_live() {
    HF_TRY(check_wanted(volume_.directory));
    const auto table = HF_TRY(read_mount_table());
    const MountEntry* mount = mount_of(table, volume_.directory);
    if (!mount || mount->point != volume_.directory || mount->type != capture_mount_type)
        return Error{
            ErrorCode::unavailable,
            quoted(volume_.directory) + " is not mounted, so a rewind would not be recorded; protect it again first"};
    UniqueFd fd(::open(volume_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct statfs where;
    if (!fd || ::fstatfs(fd.get(), &where) != 0) return errno_error(errno, "open " + quoted(volume_.directory));
    if (where.f_type != FUSE_SUPER_MAGIC) return Error{ErrorCode::unavailable, quoted(volume_.directory) + " has just been unmounted"};
    return fd;
}

}  // namespace holdfast::rewind
