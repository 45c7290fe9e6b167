#include "rewind/restore/remove_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include <vector>

#include "base/text.h"
#include "base/unique_fd.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

// True when it is gone; false when it is a directory with entries.
Result<bool> remove_one(int directory_fd, const std::string& name) {
    if (unlinkat(directory_fd, name.c_str(), 0) == 0 || errno == ENOENT) return true;
    if (errno != EISDIR && errno != EPERM) return errno_error(errno, "remove " + quoted(name));
    if (unlinkat(directory_fd, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
    if (errno == ENOTEMPTY || errno == EEXIST) return false;
    return errno_error(errno, "remove " + quoted(name));
}

}  // namespace

Status remove_tree(int directory_fd, const std::string& name) {
    if (HF_TRY(remove_one(directory_fd, name))) return ok();
    // A tree is taken down by lifting its subdirectories up into its top: then no path ever grows long, and two
    // descriptors are enough.
    const UniqueFd top(openat(directory_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!top) return errno_error(errno, "open " + quoted(name) + " to remove it");
    uint64_t lifted = 0;
    while (true) {
        std::vector<std::string> full;
        HF_TRY(read_directory(top.get(), [&](const DirectoryEntry& entry) -> Status {
            if (!HF_TRY(remove_one(top.get(), entry.name))) full.push_back(entry.name);
            return ok();
        }));
        if (full.empty()) break;
        for (const std::string& directory : full) {
            const UniqueFd fd(openat(top.get(), directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (!fd) return errno_error(errno, "open " + quoted(directory) + " to remove it");
            std::vector<std::string> inner;
            HF_TRY(read_directory(fd.get(), [&](const DirectoryEntry& entry) -> Status {
                if (!HF_TRY(remove_one(fd.get(), entry.name))) inner.push_back(entry.name);
                return ok();
            }));
            for (const std::string& child : inner) {
                const std::string lifted_name = ".holdfast-lifted-" + std::to_string(lifted++);
                if (renameat2(fd.get(), child.c_str(), top.get(), lifted_name.c_str(), RENAME_NOREPLACE) != 0 &&
                    errno != ENOENT)
                    return errno_error(errno, "lift " + quoted(child) + " up to remove it");
            }
        }
    }
    if (unlinkat(directory_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        return errno_error(errno, "remove " + quoted(name));
    return ok();
}

}  // namespace holdfast::rewind
