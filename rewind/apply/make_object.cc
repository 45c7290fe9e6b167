#include "rewind/apply/make_object.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/check.h"
#include "base/file_handle.h"
#include "base/text.h"
#include "rewind/apply/object_files.h"

namespace holdfast::rewind {

namespace {

// Permissions of an object between its birth and the moment when its own are set: nobody's but root's.
constexpr mode_t closed_file = 0600;
constexpr mode_t closed_directory = 0700;

Status create(int directory, const std::string& name, const NewObject& object, UniqueFd* file) {
    int result = 0;
    switch (object.mode & S_IFMT) {
        case S_IFREG:
            file->reset(::openat(directory, name.c_str(), O_CREAT | O_EXCL | open_flags_for(S_IFREG), closed_file));
            result = file->get();
            break;
        case S_IFDIR: result = ::mkdirat(directory, name.c_str(), closed_directory); break;
        case S_IFLNK: result = ::symlinkat(std::string(object.target).c_str(), directory, name.c_str()); break;
        case S_IFIFO:
        case S_IFSOCK:
        case S_IFCHR:
        case S_IFBLK:
            result = ::mknodat(directory, name.c_str(), (object.mode & S_IFMT) | closed_file, object.rdev);
            break;
        default: return Error{ErrorCode::corrupt, "object " + journal::to_string(object.id) + " has no type that can be made"};
    }
    if (result < 0) return errno_error(errno, "make " + quoted(name) + " in the image");
    return ok();
}

Result<UniqueFd> open_as(int directory, const std::string& name, uint32_t mode) {
    UniqueFd fd(::openat(directory, name.c_str(), open_flags_for(mode)));
    if (!fd) return errno_error(errno, "open " + quoted(name) + " in the image");
    return fd;
}

// A place only (O_PATH) takes none, but its magic link leads to the object.
Status write_id(int fd, const NewObject& object, const std::string& name) {
    const std::string id = journal::to_string(object.id);
    const bool is_place = (open_flags_for(object.mode) & O_PATH) != 0;
    const int set = is_place ? ::setxattr(descriptor_path(fd).c_str(), object_id_xattr, id.data(), id.size(), 0)
                             : ::fsetxattr(fd, object_id_xattr, id.data(), id.size(), 0);
    if (set != 0) return errno_error(errno, "write the id of " + quoted(name) + " in the image");
    return ok();
}

}  // namespace

// It never held anything: the id is set, or known, before bytes, entries or attributes are.
Result<bool> remove_unfinished(const Image& image, int directory_fd, const std::string& name) {
    if (!image.carries_ids()) return image.remove_unfinished_grave(directory_fd, name);
    const std::string path = descriptor_path(directory_fd) + "/" + name;
    if (::lgetxattr(path.c_str(), object_id_xattr, nullptr, 0) >= 0 || errno != ENODATA) return false;
    struct stat status;
    if (::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "look at " + quoted(name));
    if (S_ISREG(status.st_mode) && status.st_size != 0) return false;  // not one of ours: touch nothing
    if (::unlinkat(directory_fd, name.c_str(), S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) != 0)
        return errno_error(errno, "take away the unfinished " + quoted(name));
    return true;
}

Result<MadeObject> make_object(const Image& image, int directory_fd, const std::string& name, const NewObject& object) {
    MadeObject made;
    auto created = create(directory_fd, name, object, &made.fd);
    if (!created && created.error().sys_errno == EEXIST && HF_TRY(remove_unfinished(image, directory_fd, name)))
        created = create(directory_fd, name, object, &made.fd);
    HF_TRY(std::move(created));
    if (!made.fd) made.fd = HF_TRY(open_as(directory_fd, name, object.mode));

    if (image.carries_ids()) HF_TRY(write_id(made.fd.get(), object, name));
    made.location.handle = HF_TRY(file_handle_at(made.fd.get(), "")).bytes;
    made.location.mode = object.mode & S_IFMT;
    made.location.links = 1;
    return made;
}

Result<MadeObject> open_named(int directory_fd, const std::string& name) {
    // Its type decides how it may be opened; as a place first, so that the two are about one object.
    UniqueFd place = HF_TRY(open_as(directory_fd, name, S_IFLNK));
    struct stat status;
    if (::fstat(place.get(), &status) != 0) return errno_error(errno, "look at " + quoted(name) + " in the image");
    MadeObject found;
    found.location.handle = HF_TRY(file_handle_at(place.get(), "")).bytes;
    found.location.mode = status.st_mode & S_IFMT;
    found.location.links = S_ISDIR(status.st_mode) ? 1 : static_cast<uint32_t>(status.st_nlink);
    const int flags = open_flags_for(status.st_mode);
    if (flags & O_PATH) {
        found.fd = std::move(place);
        return found;
    }
    found.fd.reset(::open(descriptor_path(place.get()).c_str(), flags & ~O_NOFOLLOW));
    if (!found.fd) return errno_error(errno, "open " + quoted(name));
    return found;
}

}  // namespace holdfast::rewind
