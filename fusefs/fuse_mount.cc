#include "fusefs/fuse_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/inner_binds.h"
#include "base/log.h"
#include "base/text.h"
#include "fusefs/mount_table.h"

namespace holdfast::fusefs {
namespace {

unsigned long inherited_flags(int backing_fd) {
    struct statvfs info {};
    if (::fstatvfs(backing_fd, &info) != 0) return 0;
    unsigned long flags = 0;
    if (info.f_flag & ST_RDONLY) flags |= MS_RDONLY;
    if (info.f_flag & ST_NOSUID) flags |= MS_NOSUID;
    if (info.f_flag & ST_NODEV) flags |= MS_NODEV;
    if (info.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
    return flags;
}

// The newest mount of ours at DIRECTORY: the table lists them in the order of mounting.
std::string instance_at(const std::string& directory) {
    std::string instance;
    auto table = read_mount_table();
    if (!table) return instance;
    for (const MountEntry& entry : *table)
        if (entry.point == directory && entry.type == filesystem_type) instance = entry.device;
    return instance;
}

}  // namespace

Result<FuseMount> FuseMount::make(const std::string& source, const std::string& directory, int backing_fd, unsigned long flags) {
    return make_at(directory, backing_fd, source, directory, backing_fd, flags);
}

Result<FuseMount> FuseMount::make_at(const std::string& place, int place_fd, const std::string& source, const std::string& directory, int backing_fd,
                                     unsigned long flags) {
    UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!device) return errno_error(errno, "/dev/fuse cannot be opened; load the module with `modprobe fuse`");
    struct stat root {};
    if (::fstat(backing_fd, &root) != 0) return errno_error(errno, "the directory " + quoted(directory) + " cannot be examined");

    // default_permissions: the kernel checks modes and ACLs as on any file system. allow_other: not only for root.
    char data[128];
    std::snprintf(data, sizeof data, "fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other,default_permissions", device.get(),
                  root.st_mode & S_IFMT);
    const std::string target = "/proc/self/fd/" + std::to_string(place_fd);
    if (::mount(source.c_str(), target.c_str(), filesystem_type, flags | inherited_flags(backing_fd), data) != 0)
        return errno_error(errno, "mounting over " + quoted(directory));
    return FuseMount(std::move(device), source, directory, instance_at(place));
}

bool FuseMount::is_this(const MountEntry& entry) const {
    return entry.device == instance_ && entry.type == filesystem_type && entry.source == source_;
}

bool FuseMount::is_at_directory() const {
    const auto table = read_mount_table();
    if (!table) return true;  // as in is_mounted()
    return std::any_of(table->begin(), table->end(), [this](const MountEntry& entry) { return is_this(entry) && entry.point == directory_; });
}

bool FuseMount::is_mounted() const {
    const auto table = read_mount_table();
    if (!table) return true;  // cannot tell: the careful answer keeps serving
    return std::any_of(table->begin(), table->end(), [this](const MountEntry& entry) { return is_this(entry); });
}

// At its directory, or where it is put together; somebody may have bound it elsewhere as well.
Result<std::string> FuseMount::point() const {
    const auto table = HF_TRY(read_mount_table());
    const MountEntry* ours = nullptr;
    for (const MountEntry& entry : table)
        if (is_this(entry) && (!ours || entry.point == directory_)) ours = &entry;
    if (!ours) return Error{ErrorCode::not_found, quoted(directory_) + " is not mounted any more"};
    if (!is_this(*mount_of(table, ours->point))) return Error{ErrorCode::busy, "something else is mounted over " + quoted(ours->point)};
    return ours->point;
}

Status FuseMount::unmount() {
    return unmount_with_binds(HF_TRY(point()), filesystem_type);
}

void FuseMount::detach() {
    const auto point = this->point();
    if (!point) {
        if (point.error().code != ErrorCode::not_found) log_error("detaching " + quoted(directory_) + " failed: " + point.error().message);
    } else if (::umount2(point->c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0 && errno != EINVAL) {
        log_error("detaching " + quoted(directory_) + " failed: " + std::strerror(errno));
    }
}

Status remount(const std::string& directory, unsigned long flags) {
    if (instance_at(directory).empty())
        return Error{ErrorCode::not_found, quoted(directory) + " is not mounted, so its options cannot be changed"};
    if (::mount("none", directory.c_str(), filesystem_type, flags | MS_REMOUNT, nullptr) != 0)
        return errno_error(errno, "changing the mount options of " + quoted(directory));
    return ok();
}

}  // namespace holdfast::fusefs
