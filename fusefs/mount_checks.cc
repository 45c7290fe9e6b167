#include "fusefs/mount_checks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/file_handle.h"
#include "base/text.h"

namespace holdfast::fusefs {
namespace {

// FUSE_HANDLE_KILLPRIV_V2 came with 5.12; without it every write costs a second request and set-id bits survive.
constexpr int kernel_major_min = 5, kernel_minor_min = 12;

Error refused(ErrorCode code, std::string sentence) {
    return {code, std::move(sentence)};
}

}  // namespace

Result<std::string> resolved_path(const std::string& path) {
    char* real = ::realpath(path.c_str(), nullptr);
    if (!real) {
        const int why = errno;
        if (why == ENOENT) return refused(ErrorCode::not_found, "there is no " + quoted(path));
        return errno_error(why, "the path " + quoted(path) + " cannot be resolved");
    }
    std::string resolved = real;
    std::free(real);
    return resolved;
}

Status check_mount_point(const std::string& directory, const std::vector<MountEntry>& table) {
    struct stat info {};
    if (::lstat(directory.c_str(), &info) != 0) return errno_error(errno, "the directory " + quoted(directory) + " cannot be reached");
    if (!S_ISDIR(info.st_mode)) return refused(ErrorCode::invalid_argument, quoted(directory) + " is not a directory");
    if (directory == "/") return refused(ErrorCode::invalid_argument, "the root directory cannot be covered by a mount; choose a directory below it");
    for (const MountEntry& entry : table) {
        const bool ours = entry.type == filesystem_type;
        if (ours && entry.point == directory)
            return refused(ErrorCode::busy, quoted(directory) + " is already mounted (from " + quoted(entry.source) + ")");
        if (ours && is_within(directory, entry.point))
            return refused(ErrorCode::busy, quoted(directory) + " lies inside " + quoted(entry.point) +
                                                ", which is already protected; a directory is protected once");
        if (ours && is_within(entry.point, directory))
            return refused(ErrorCode::busy, quoted(entry.point) + " inside " + quoted(directory) +
                                                " is already protected; unmount it first, or protect other directories");
        if (entry.point != directory && is_within(entry.point, directory))
            return refused(ErrorCode::busy, "another file system is mounted at " + quoted(entry.point) +
                                                " and would be hidden; unmount it, mount " + quoted(directory) +
                                                ", and then mount it again on top");
    }
    return ok();
}

Status check_volume_paths(const journal::Volume& volume, const std::string& directory) {
    auto protected_directory = resolved_path(volume.directory);
    if (!protected_directory || *protected_directory != directory)
        return refused(ErrorCode::invalid_argument, "the store " + quoted(volume.store) + " belongs to the directory " +
                                                        quoted(volume.directory) + ", not to " + quoted(directory));
    for (const std::string& place : {volume.store, volume.journal_directory}) {
        const std::string resolved = HF_TRY(resolved_path(place));
        if (is_within(resolved, directory))
            return refused(ErrorCode::invalid_argument, quoted(resolved) + " lies inside the directory that it protects, " +
                                                            quoted(directory) + "; move the store elsewhere");
        if (is_within(directory, resolved))
            return refused(ErrorCode::invalid_argument, "the directory " + quoted(directory) + " lies inside the store " +
                                                            quoted(resolved) + "; a store cannot protect itself");
    }
    return ok();
}

bool kernel_at_least(int major, int minor) {
    utsname host{};
    int has_major = 0, has_minor = 0;
    if (::uname(&host) != 0 || std::sscanf(host.release, "%d.%d", &has_major, &has_minor) != 2) return false;
    return has_major > major || (has_major == major && has_minor >= minor);
}

Status check_host() {
    if (::geteuid() != 0) return refused(ErrorCode::permission, "only root may mount a protected directory");
    if (!kernel_at_least(kernel_major_min, kernel_minor_min))
        return refused(ErrorCode::unsupported, "this kernel is older than 5.12, the first whose FUSE can be protected with; update the kernel");
    if (::access("/dev/fuse", R_OK | W_OK) != 0)
        return refused(ErrorCode::unsupported, "/dev/fuse cannot be used (" + std::string(std::strerror(errno)) +
                                                   "); load the module with `modprobe fuse`, or give this container the device");
    return ok();
}

Status check_file_handles(int backing_fd) {
    auto handle = file_handle_at(backing_fd, "");
    if (handle) {
        auto again = open_file_handle(backing_fd, *handle, O_RDONLY | O_DIRECTORY);
        if (again) return ok();
        return refused(ErrorCode::unsupported, "the file system of the directory does not open files by handle (" + again.error().message +
                                                   "); keep it on ext4, XFS or btrfs");
    }
    return refused(ErrorCode::unsupported, "the file system of the directory has no file handles (" + handle.error().message +
                                               "); keep it on ext4, XFS or btrfs");
}

}  // namespace holdfast::fusefs
