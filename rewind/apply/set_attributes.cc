#include "rewind/apply/set_attributes.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file_time.h"
#include "base/text.h"
#include "rewind/acl_mode.h"
#include "rewind/apply/object_files.h"
#include "rewind/image.h"

namespace holdfast::rewind {

namespace {

Status set_owner(int fd, const ObjectChange& change, const struct stat& now, bool* changed) {
    const bool has_uid = change.valid & HF_ATTR_UID, has_gid = change.valid & HF_ATTR_GID;
    const bool same = (!has_uid || now.st_uid == change.attributes.uid) && (!has_gid || now.st_gid == change.attributes.gid);
    if (same) return ok();
    const uid_t uid = has_uid ? change.attributes.uid : static_cast<uid_t>(-1);
    const gid_t gid = has_gid ? change.attributes.gid : static_cast<gid_t>(-1);
    if (::fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0) return errno_error(errno, "set the owner");
    *changed = true;
    return ok();
}

Status set_xattrs(const std::string& path, int fd, const ObjectChange& change, bool exact) {
    if (exact) {
        for (const std::string& name : HF_TRY(list_xattrs(fd))) {
            const auto wanted = change.xattrs.find(name);
            if (wanted != change.xattrs.end() && wanted->second) continue;
            if (::removexattr(path.c_str(), name.c_str()) != 0 && errno != ENODATA)
                return errno_error(errno, "remove xattr " + quoted(name));
        }
    }
    for (const auto& [name, value] : change.xattrs) {
        const std::string key(name);
        if (value) {
            if (::setxattr(path.c_str(), key.c_str(), value->data(), value->size(), 0) != 0)
                return errno_error(errno, "set xattr " + quoted(key));
        } else if (!exact && ::removexattr(path.c_str(), key.c_str()) != 0 && errno != ENODATA) {
            return errno_error(errno, "remove xattr " + quoted(key));
        }
    }
    return ok();
}

Status set_times(int fd, const ObjectChange& change) {
    if (!(change.valid & (HF_ATTR_ATIME | HF_ATTR_MTIME))) return ok();
    timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    if (change.valid & HF_ATTR_ATIME) times[0] = file_time(change.attributes.atime_ns);
    if (change.valid & HF_ATTR_MTIME) times[1] = file_time(change.attributes.mtime_ns);
    if (::utimensat(fd, "", times, AT_EMPTY_PATH) != 0) return errno_error(errno, "set the times");
    return ok();
}

}  // namespace

Status set_attributes(int fd, const ObjectChange& change, bool exact_xattrs) {
    struct stat now;
    if (::fstat(fd, &now) != 0) return errno_error(errno, "look at an object of the image");
    const std::string path = descriptor_path(fd);
    bool mode_may_differ = false;
    HF_TRY(set_owner(fd, change, now, &mode_may_differ));
    if (exact_xattrs || !change.xattrs.empty()) {
        HF_TRY(set_xattrs(path, fd, change, exact_xattrs));
        mode_may_differ = true;
    }
    const uint32_t permissions = change.attributes.mode & 07777;
    const bool is_place = (open_flags_for(now.st_mode) & O_PATH) != 0;
    const bool sets_mode = change.valid & HF_ATTR_MODE && !S_ISLNK(now.st_mode);  // a link's mode cannot be set
    if (sets_mode && (mode_may_differ || (now.st_mode & 07777) != permissions)) {
        if ((is_place ? ::chmod(path.c_str(), permissions) : ::fchmod(fd, permissions)) != 0) return errno_error(errno, "set the mode");
    }
    return set_times(fd, change);
}

Result<std::optional<std::string>> read_xattr(int fd, std::string_view name) {
    const std::string path = descriptor_path(fd), key(name);
    std::string value(256, '\0');
    while (true) {
        const ssize_t length = ::getxattr(path.c_str(), key.c_str(), value.data(), value.size());
        if (length >= 0) {
            value.resize(static_cast<size_t>(length));
            return std::optional(std::move(value));
        }
        if (errno == ENODATA || errno == EOPNOTSUPP) return std::optional<std::string>();
        if (errno != ERANGE || value.size() >= XATTR_SIZE_MAX) return errno_error(errno, "read xattr " + quoted(key));
        value.resize(XATTR_SIZE_MAX);
    }
}

Result<std::vector<std::string>> list_xattrs(int fd) {
    std::vector<std::string> names;
    const std::string path = descriptor_path(fd);
    std::string list(1024, '\0');
    ssize_t length = ::flistxattr(fd, list.data(), list.size());
    if (length < 0 && errno == EBADF) length = ::listxattr(path.c_str(), list.data(), list.size());  // open as a place only
    if (length < 0 && errno == ERANGE) {
        list.resize(XATTR_LIST_MAX);
        length = ::listxattr(path.c_str(), list.data(), list.size());
    }
    if (length < 0 && errno == EOPNOTSUPP) return names;
    if (length < 0) return errno_error(errno, "list the xattrs of an object of the image");
    for (size_t at = 0; at < static_cast<size_t>(length);) {
        std::string name(list.c_str() + at);
        at += name.size() + 1;
        if (!is_private_xattr(name)) names.push_back(std::move(name));
    }
    return names;
}

}  // namespace holdfast::rewind
