#include "rewind/apply/set_attributes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file_time.h"
#include "base/text.h"
#include "rewind/acl_mode.h"
#include "rewind/apply/object_files.h"
#include "rewind/image.h"
#include "rewind/xattrs.h"

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

// The xattrs of one object, in the image or beside it.
class Xattrs {
public:
    Xattrs(SpilledXattrs& spilled, const ObjectId& object, std::string path) : spilled_(spilled), object_(object), path_(std::move(path)) {}

    Status set(const std::string& name, std::string_view value) {
        if (::setxattr(path_.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) return spilled_.remove(object_, name);
        const int why = errno;
        // On a disk that is full nothing is kept beside it either.
        if (!is_want_of_room(why) || !spilled_.put(object_, name, value)) return errno_error(why, "set xattr " + quoted(name));
        return remove_from_image(name);
    }
    Status remove(const std::string& name) {
        HF_TRY(remove_from_image(name));
        return spilled_.remove(object_, name);
    }

private:
    Status remove_from_image(const std::string& name) {
        if (::removexattr(path_.c_str(), name.c_str()) == 0 || errno == ENODATA || errno == EOPNOTSUPP) return ok();
        return errno_error(errno, "remove xattr " + quoted(name));
    }

    SpilledXattrs& spilled_;
    const ObjectId object_;
    const std::string path_;
};

Status set_xattrs(Xattrs xattrs, const std::vector<std::string>& present, const ObjectChange& change) {
    for (const std::string& name : present) {
        const auto wanted = change.xattrs.find(name);
        if (wanted == change.xattrs.end() || !wanted->second) HF_TRY(xattrs.remove(name));
    }
    for (const auto& [name, value] : change.xattrs) {
        const std::string key(name);
        HF_TRY(value ? xattrs.set(key, *value) : xattrs.remove(key));
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

Status set_attributes(const Image& image, const ObjectId& object, int fd, const ObjectChange& change, bool exact_xattrs) {
    struct stat now;
    if (::fstat(fd, &now) != 0) return errno_error(errno, "look at an object of the image");
    const std::string path = descriptor_path(fd);
    bool mode_may_differ = false;
    HF_TRY(set_owner(fd, change, now, &mode_may_differ));
    if (exact_xattrs || !change.xattrs.empty()) {
        const auto present = exact_xattrs ? HF_TRY(xattr_names_of_object(image, object, fd)) : std::vector<std::string>();
        HF_TRY(set_xattrs(Xattrs(image.spilled(), object, path), present, change));
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

}  // namespace holdfast::rewind
