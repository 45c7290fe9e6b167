#include "rewind/read_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>

#include "base/unique_fd.h"

namespace holdfast::rewind {

Status read_directory(int directory_fd, const std::function<Status(const DirectoryEntry&)>& visit) {
    // A description of its own: two walks over one descriptor would share a position.
    UniqueFd own(openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME));
    if (!own && errno == EPERM) own.reset(openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) return errno_error(errno, "open a directory to list it");
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(own.get()), closedir);
    if (!directory) return errno_error(errno, "list a directory");
    own.release();
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (!entry) {
            if (errno) return errno_error(errno, "list a directory");
            return ok();
        }
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        const uint32_t type = entry->d_type == DT_UNKNOWN ? 0 : DTTOIF(entry->d_type);
        HF_TRY(visit({std::string(name), type, entry->d_ino}));
    }
}

Result<bool> is_directory(int directory_fd, const DirectoryEntry& entry) {
    if (entry.type != 0) return S_ISDIR(entry.type);
    struct stat status;
    if (::fstatat(directory_fd, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "look at an entry of a directory");
    return S_ISDIR(status.st_mode);
}

Result<DirectoryName> name_of_directory(int directory_fd) {
    DirectoryName found{UniqueFd(::openat(directory_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), {}};
    struct stat status;
    if (!found.parent || ::fstat(directory_fd, &status) != 0) return errno_error(errno, "look at a directory");
    HF_TRY(read_directory(found.parent.get(), [&](const DirectoryEntry& entry) -> Status {
        if (entry.inode == status.st_ino) found.name = entry.name;
        return ok();
    }));
    if (found.name.empty()) return Error{ErrorCode::corrupt, "a directory has no name in the one that it lies in", ENOENT};
    return found;
}

}  // namespace holdfast::rewind
