#include "rewind/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <charconv>

#include "base/file_time.h"
#include "base/text.h"

namespace holdfast::rewind {

namespace {

constexpr size_t id_text_bytes_max = 64;

Result<ObjectId> read_id(const std::string& path, std::string_view what) {
    char text[id_text_bytes_max];
    const ssize_t length = ::lgetxattr(path.c_str(), object_id_xattr, text, sizeof text);
    if (length < 0 && errno != ENODATA && errno != ERANGE)
        return errno_error(errno, "read the id of " + std::string(what) + " in the image");
    const auto id = length < 0 ? std::nullopt : parse_object_id({text, static_cast<size_t>(length)});
    if (!id) return Error{ErrorCode::corrupt, std::string(what) + " in the image carries no object id"};
    return *id;
}

// The magic link of a descriptor: leads to exactly its object, without a walk over names.
std::string proc_path(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace

bool is_private_xattr(std::string_view name) {
    return name.starts_with("trusted.holdfast.");
}

std::optional<ObjectId> parse_object_id(std::string_view text) {
    ObjectId id;
    const char* at = text.data();
    const char* end = text.data() + text.size();
    const auto number = [&](auto& value, bool last) {
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc() || next == at) return false;
        if (last) return next == end;
        at = next + 1;
        return next != end && *next == ':';
    };
    if (!number(id.origin, false) || !number(id.inode, false) || !number(id.generation, true)) return std::nullopt;
    return id;
}

Result<Image> Image::open(const std::string& store) {
    Image image;
    for (auto [fd, part] : {std::pair(&image.root_, "/image"), std::pair(&image.graveyard_, "/graveyard")}) {
        fd->reset(::open((store + part).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        if (!*fd) return errno_error(errno, "open " + quoted(store + part));
    }
    struct stat root, graveyard;
    if (::fstat(image.root_.get(), &root) != 0 || ::fstat(image.graveyard_.get(), &graveyard) != 0)
        return errno_error(errno, "look at the image of " + quoted(store));
    if (root.st_dev != graveyard.st_dev)
        return Error{ErrorCode::unsupported, "image and graveyard of " + quoted(store) +
                                                 " lie on two file systems; they must be on one, because a deleted "
                                                 "file moves between them in one rename"};
    return image;
}

Result<UniqueFd> Image::open_object(const ImageLocation& location, int flags) const {
    return open_file_handle(root_.get(), FileHandle{location.handle}, flags);
}

Result<ObjectId> Image::object_of(int fd) const {
    // An object behind a magic link is not followed further, so this also works for symbolic links (O_PATH).
    char text[id_text_bytes_max];
    const ssize_t length = ::getxattr(proc_path(fd).c_str(), object_id_xattr, text, sizeof text);
    if (length < 0 && errno != ENODATA && errno != ERANGE) return errno_error(errno, "read the id of an object of the image");
    const auto id = length < 0 ? std::nullopt : parse_object_id({text, static_cast<size_t>(length)});
    if (!id) return Error{ErrorCode::corrupt, "an object of the image carries no id"};
    return *id;
}

Result<ObjectId> Image::object_of(int directory_fd, const std::string& name) const {
    // One component beneath a held descriptor: the magic link is that directory, whatever its name is by now. A
    // listing asks this for every entry, so it is one system call instead of open, read and close.
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
        return Error{ErrorCode::invalid_argument, quoted(name) + " is no name of a directory entry"};
    return read_id(proc_path(directory_fd) + "/" + name, quoted(name));
}

Result<ObjectAttributes> Image::attributes_of(int fd) const {
    struct stat status;
    if (::fstat(fd, &status) != 0) return errno_error(errno, "look at an object of the image");
    ObjectAttributes attributes;
    attributes.mode = status.st_mode;
    attributes.uid = status.st_uid;
    attributes.gid = status.st_gid;
    attributes.nlink = static_cast<uint32_t>(status.st_nlink);
    attributes.size = static_cast<uint64_t>(status.st_size);
    attributes.rdev = status.st_rdev;
    attributes.atime_ns = file_time_ns(status.st_atim);
    attributes.mtime_ns = file_time_ns(status.st_mtim);
    attributes.ctime_ns = file_time_ns(status.st_ctim);
    return attributes;
}

std::string Image::grave_name(const ObjectId& object) {
    return journal::to_string(object);
}

}  // namespace holdfast::rewind
