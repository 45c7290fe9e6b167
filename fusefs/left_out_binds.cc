#include "fusefs/left_out_binds.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/log.h"
#include "base/mount_trees.h"
#include "base/text.h"

namespace holdfast::fusefs {
namespace {

// There is no such directory, whatever else is there.
bool is_absence(const Error& error) {
    return error.sys_errno == ENOENT || error.sys_errno == ENOTDIR || error.sys_errno == ELOOP;
}

Status make_one(int around_fd, const std::string& name) {
    struct stat around {};
    if (::fstat(around_fd, &around) != 0) return errno_error(errno, "look at the directory around it");
    if (::mkdirat(around_fd, name.c_str(), 0700) != 0) return errno_error(errno, "make the directory");
    if (::fchownat(around_fd, name.c_str(), around.st_uid, around.st_gid, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "give it an owner");
    if (::fchmodat(around_fd, name.c_str(), around.st_mode & 0777, 0) != 0) return errno_error(errno, "give it a mode");
    return ok();
}

// True: something was made.
Result<bool> make_path(int top, const std::string& path) {
    bool is_made = false;
    UniqueFd around = HF_TRY(directory_beneath(top, "."));
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string name = path.substr(at, end - at);
        auto next = directory_beneath(around.get(), name);
        if (!next && next.error().sys_errno == ENOENT) {
            HF_TRY(make_one(around.get(), name));
            is_made = true;
            next = directory_beneath(around.get(), name);
        }
        around = HF_TRY(std::move(next));
        at = end + 1;
    }
    return is_made;
}

Status bind_one(int mount_fd, int backing_fd, const std::string& path, unsigned long flags) {
    auto place = directory_beneath(mount_fd, path);
    if (!place && place.error().sys_errno == EXDEV) return ok();  // something is mounted there already
    const UniqueFd onto = HF_TRY(std::move(place));
    const UniqueFd source = HF_TRY(directory_beneath(backing_fd, path));
    const UniqueFd mount = HF_TRY(clone_mount(source.get()));
    HF_TRY(make_private(mount.get()));
    HF_TRY(narrow_mount(mount.get(), flags));
    return put_mount(mount.get(), onto.get());
}

}  // namespace

void make_missing(int backing_fd, const journal::LeftOut& left_out) {
    for (const std::string& path : left_out.paths()) {
        const auto made = make_path(backing_fd, path);
        if (made && *made)
            log_warning(quoted(path) + ", which is left out, was not there; it was made, empty, with owner and mode of the directory around it");
        if (!made)
            log_warning(quoted(path) + " is to be left out and is no directory (" + made.error().message + "); what is there is recorded like everything else");
    }
}

Status bind_left_out(int mount_fd, int backing_fd, const journal::LeftOut& left_out, unsigned long flags) {
    for (const std::string& path : left_out.paths()) {
        Status bound = bind_one(mount_fd, backing_fd, path, flags);
        if (bound) continue;
        if (!is_absence(bound.error())) return std::move(bound).error().within("leaving " + quoted(path) + " out");
        log_warning(quoted(path) + " is to be left out and is no directory now; what is there is recorded like everything else");
    }
    return ok();
}

}  // namespace holdfast::fusefs
