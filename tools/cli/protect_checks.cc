#include "tools/cli/protect_checks.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file_handle.h"
#include "base/inner_binds.h"
#include "base/mount_table.h"
#include "base/mount_trees.h"
#include "base/unique_fd.h"
#include "tools/cli/mounts.h"
#include "tools/cli/output.h"
#include "tools/cli/volume_path.h"

namespace holdfast::cli {
namespace {

Result<std::string> real_path(const std::string& path) {
    char buffer[PATH_MAX];
    if (::realpath(path.c_str(), buffer) != nullptr) return std::string(buffer);
    int why = errno;
    if (why == ENOENT) return Error{ErrorCode::not_found, "there is no " + printable(path) + ": check the path"};
    return errno_error(why, "the path " + printable(path) + " cannot be followed");
}

Error nested(const std::string& outer, const std::string& inner) {
    return {ErrorCode::exists, printable(inner) + " lies inside " + printable(outer) + ", and one of them is already protected: a directory is protected "
                                                                                       "once, by the volume that holds it"};
}

// A replica's store and its standby directory are written by what comes from its source alone.
Status check_replica(const journal::Volume& volume, const journal::Volume& replica) {
    for (const std::string& place : {volume.directory, volume.store, volume.journal_directory}) {
        for (const auto& [what, taken] : {std::pair("store", &replica.store), std::pair("standby directory", &replica.directory)}) {
            if (!taken->empty() && (is_within(place, *taken) || is_within(*taken, place)))
                return Error{ErrorCode::exists, printable(place) + " and the replica's " + what + " " + printable(*taken) + " lie in one another: choose a directory of its own"};
        }
    }
    return ok();
}

Status check_registered(const journal::Volume& volume, const journal::Volume& other) {
    if (other.id == volume.id) return ok();
    if (other.is_replica()) return check_replica(volume, other);
    if (other.directory == volume.directory)
        return Error{ErrorCode::exists, printable(volume.directory) + " is already protected with the store " + printable(other.store) +
                                            ": use that store, or forget it first with `holdfast unprotect " + printable(volume.directory) + " --forget`"};
    if (is_within(volume.directory, other.directory)) return nested(other.directory, volume.directory);
    if (is_within(other.directory, volume.directory)) return nested(volume.directory, other.directory);
    for (const std::string& place : {volume.store, volume.journal_directory}) {
        if (is_within(place, other.directory))
            return Error{ErrorCode::invalid_argument, printable(place) + " lies inside " + printable(other.directory) +
                                                          ", which is itself protected, so every byte of history would become history again: choose another place"};
        if (is_within(place, other.store) || is_within(other.store, place))
            return Error{ErrorCode::exists, printable(place) + " and the store " + printable(other.store) + " of " + printable(other.directory) +
                                                " lie in one another: choose a directory of its own"};
    }
    return ok();
}

Status check_mounts(const journal::Volume& volume) {
    const auto mounts = HF_TRY(read_mount_table());
    const std::string& directory = volume.directory;
    for (const MountEntry& mount : mounts) {
        if (mount.type != capture_mount_type) continue;
        // A mount of this very store whose supervisor is gone is taken over by the mount helper.
        if (mount.point == directory && mount.source != volume.store)
            return Error{ErrorCode::exists, printable(directory) + " is already protected (mounted from " + printable(mount.source) + ")"};
        if (mount.point != directory && is_within(directory, mount.point)) return nested(mount.point, directory);
        if (mount.point != directory && is_within(mount.point, directory)) return nested(directory, mount.point);
    }
    // A dead mount's binds go with it.
    const MountEntry* below = is_captured(mounts, directory) ? other_mount_within(mounts, directory, capture_mount_type) : mount_below(mounts, directory);
    if (below)
        return Error{ErrorCode::busy, "another file system is mounted at " + printable(below->point) + " and would be hidden: unmount it, protect " +
                                          printable(directory) + ", and mount it again on top"};
    return ok();
}

}  // namespace

Result<std::string> directory_to_protect(const std::string& directory) {
    std::string absolute = HF_TRY(absolute_path(directory));
    auto followed = real_path(absolute);
    // A mount whose server is gone answers nothing any more; the mount helper takes it away and mounts again.
    if (!followed && followed.error().sys_errno == ENOTCONN) return absolute;
    std::string real = HF_TRY(std::move(followed));
    struct stat info {};
    // The kernel may still know the way through a dead mount.
    if (::stat(real.c_str(), &info) != 0) return errno == ENOTCONN ? Result<std::string>(real) : errno_error(errno, "look at " + printable(real));
    if (!S_ISDIR(info.st_mode))
        return Error{ErrorCode::invalid_argument, printable(real) + " is not a directory: protect the directory that holds it"};
    if (real == "/") return Error{ErrorCode::invalid_argument, "the root directory cannot be protected: choose a directory below it"};
    return real;
}

Result<std::string> place_for(const std::string& path, const char* what) {
    std::string absolute = HF_TRY(absolute_path(path));
    char buffer[PATH_MAX];
    if (::realpath(absolute.c_str(), buffer) != nullptr) return std::string(buffer);
    size_t slash = absolute.rfind('/');
    std::string parent = slash == 0 ? "/" : absolute.substr(0, slash);
    auto real = real_path(parent);
    // Made by hand and not by us: a path whose disk is not mounted must not become a directory on another disk.
    if (!real && real.error().code == ErrorCode::not_found)
        return Error{ErrorCode::not_found, std::string("the ") + what + " cannot be made in " + printable(parent) +
                                               ", which does not exist: is its disk mounted? Make that directory first"};
    if (!real) return real;
    return (*real == "/" ? "" : *real) + absolute.substr(slash);
}

Status check_places(const journal::Volume& volume) {
    struct Place {
        const char* what;
        const std::string& path;
    };
    for (const Place& place : {Place{"store", volume.store}, Place{"journal", volume.journal_directory}}) {
        if (is_within(place.path, volume.directory))
            return Error{ErrorCode::invalid_argument, std::string("the ") + place.what + " " + printable(place.path) + " lies inside the directory to protect, " +
                                                          printable(volume.directory) + ": choose a place outside, best on another disk"};
        if (is_within(volume.directory, place.path))
            return Error{ErrorCode::invalid_argument, "the directory " + printable(volume.directory) + " lies inside the " + place.what + " " +
                                                          printable(place.path) + ": choose a place of its own for the " + place.what};
    }
    if (volume.journal_directory == volume.store || is_within(volume.store, volume.journal_directory))
        return Error{ErrorCode::invalid_argument, "the store " + printable(volume.store) + " lies inside the journal directory " +
                                                      printable(volume.journal_directory) + ": choose a place of its own for the journal"};
    return ok();
}

Status check_left_out(const std::string& directory, const journal::LeftOut& left_out) {
    const UniqueFd top(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top) return errno_error(errno, "open " + printable(directory));
    for (const std::string& path : left_out.paths()) {
        auto found = directory_beneath(top.get(), path);
        if (found) continue;
        const std::string whole = printable(directory + "/" + path);
        switch (found.error().sys_errno) {
            case ENOENT: return Error{ErrorCode::not_found, "there is no " + whole + ", so it cannot be left out: check the path, or make the directory first"};
            case ENOTDIR:
            case ELOOP: return Error{ErrorCode::invalid_argument, whole + " cannot be left out: it, or something on the way to it, is no directory but a file or a link"};
            case EXDEV: return Error{ErrorCode::invalid_argument, whole + " cannot be left out: another file system is mounted there or on the way to it"};
            case ENOTCONN: return Error{ErrorCode::busy, "nobody can look at " + whole + " now, because the mount over " + printable(directory) + " is dead: run `holdfast unprotect " +
                                                             printable(directory) + "` first"};
            default: return std::move(found).error().within(whole + " cannot be left out");
        }
    }
    return ok();
}

Status check_others(const journal::Volume& volume) {
    for (const journal::Volume& other : HF_TRY(journal::registered_volumes())) HF_TRY(check_registered(volume, other));
    return check_mounts(volume);
}

Status check_user() {
    if (::geteuid() == 0) return ok();
    return Error{ErrorCode::permission, "only root may protect a directory: run this with sudo"};
}

Status check_host(const std::string& directory) {
    if (::access("/dev/fuse", R_OK | W_OK) != 0)
        return Error{ErrorCode::unsupported, std::string("/dev/fuse cannot be used (") + strerror(errno) +
                                                 "): load the module with `modprobe fuse`, or give this container the device"};
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && errno == ENOTCONN) return ok();
    if (!fd) return errno_error(errno, "open " + printable(directory));
    auto handle = file_handle_at(fd.get(), "");
    if (handle) return ok();
    return Error{ErrorCode::unsupported, "the file system of " + printable(directory) + " has no file handles (" + handle.error().message +
                                             "): keep it on ext4, XFS or btrfs"};
}

}  // namespace holdfast::cli
