#include "rewind/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <charconv>

#include "base/file_time.h"
#include "base/log.h"
#include "base/text.h"
#include "rewind/object_search.h"
#include "rewind/restore/remove_tree.h"

namespace holdfast::rewind {

namespace {

constexpr size_t id_text_bytes_max = 64;
// A name can change between being looked up and being opened; the next look finds the new one.
constexpr int name_attempts = 3;
// A way from the top with more directories is none.
constexpr size_t directories_above_max = 4096;

std::string reached_through;

int opening_flags(uint32_t mode, int flags) {
    if (S_ISDIR(mode)) flags |= O_DIRECTORY;  // by which a confined process asks for it otherwise (base/file_handle.h)
    if (!(flags & O_PATH) || !(S_ISREG(mode) || S_ISDIR(mode))) return flags;
    return (flags & ~O_PATH) | O_RDONLY | O_NOATIME;
}

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

void Image::reach_through(std::string directory) {
    reached_through = std::move(directory);
}

Result<Image> Image::open(const std::string& store) {
    Image image;
    for (auto [fd, part] : {std::pair(&image.root_, "/image"), std::pair(&image.graveyard_, "/graveyard")}) {
        fd->reset(::open(((reached_through.empty() ? store : reached_through) + part).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        if (!*fd) return errno_error(errno, "open " + quoted(store + part));
    }
    image.spilled_ = HF_TRY(SpilledXattrs::open(store + "/xattrs"));
    struct stat root, graveyard;
    if (::fstat(image.root_.get(), &root) != 0 || ::fstat(image.graveyard_.get(), &graveyard) != 0)
        return errno_error(errno, "look at the image of " + quoted(store));
    if (root.st_dev != graveyard.st_dev)
        return Error{ErrorCode::unsupported, "image and graveyard of " + quoted(store) +
                                                 " lie on two file systems; they must be on one, because a deleted "
                                                 "file moves between them in one rename"};
    return image;
}

Result<Image> Image::of_tree(UniqueFd root, UniqueFd graveyard, const ObjectMarks& marks, const std::string& spilled) {
    Image image;
    image.spilled_ = HF_TRY(SpilledXattrs::open(spilled));
    image.root_ = std::move(root);
    image.graveyard_ = std::move(graveyard);
    image.marks_ = &marks;
    return image;
}

bool Image::opens_by_handle() const {
    return carries_ids() || reached_through.empty();
}

Result<UniqueFd> Image::open_object(const ObjectId& object, const ImageLocation& location, int flags) const {
    flags = opening_flags(location.mode, flags);
    Above above;
    if (!opens_by_handle()) return open_from_top(object, location, flags, above);
    auto opened = open_file_handle(root_.get(), FileHandle{location.handle}, flags);
    // Landlock lets nobody open a file to which it finds no way from a directory, and the filter of system calls no place by its handle alone.
    if (opened || opened.error().sys_errno != EACCES || !index_ || S_ISDIR(location.mode)) return opened;
    for (int attempt = 1; attempt <= name_attempts; ++attempt)
        if (auto found = open_by_names(object, location, flags, above); found || found.error().code != ErrorCode::not_found) return found;
    if (!HF_TRY(is_file_handle_alive(root_.get(), FileHandle{location.handle})))
        return Error{ErrorCode::not_found, std::string(what()) + " lost object " + journal::to_string(object), ESTALE};
    return open_searched(object, location, flags);
}

Result<UniqueFd> Image::open_from_top(const ObjectId& object, const ImageLocation& location, int flags, Above& above) const {
    if (object == journal::root_object) return open_named(root_.get(), ".", location, flags);
    return open_by_names(object, location, flags, above);
}

// Errors: not_found when no name that is known leads to it.
Result<UniqueFd> Image::open_by_names(const ObjectId& object, const ImageLocation& location, int flags, Above& above) const {
    if (auto buried = open_named(graveyard_.get(), grave_name(object), location, flags)) return buried;
    const auto names = HF_TRY(index_->names_of(object));
    // The newest first: it is the one that leads there, but for a change that is being made just now.
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
        const auto holder = HF_TRY(places_->location(name->directory));
        if (!holder) continue;
        const auto directory = open_holder(name->directory, *holder, above);
        if (!directory) continue;
        if (auto opened = open_named(directory->get(), name->name, location, flags)) return opened;
    }
    return Error{ErrorCode::not_found, "no name leads to object " + journal::to_string(object) + " of the image", ENOENT};
}

// Two directories may have lain in one another at different times, so a way that leads in a circle is none.
Result<UniqueFd> Image::open_holder(const ObjectId& directory, const ImageLocation& location, Above& above) const {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOATIME;
    if (opens_by_handle()) return open_file_handle(root_.get(), FileHandle{location.handle}, flags);
    if (above.size() >= directories_above_max || std::find(above.begin(), above.end(), directory) != above.end())
        return Error{ErrorCode::not_found, "no way from the top leads to object " + journal::to_string(directory), ENOENT};
    above.push_back(directory);
    auto opened = open_from_top(directory, location, flags, above);
    above.pop_back();
    return opened;
}

Result<UniqueFd> Image::open_searched(const ObjectId& object, const ImageLocation& location, int flags) const {
    log_warning("Nothing that is known leads to object " + journal::to_string(object) + " of the image; all of it is looked through.");
    for (int attempt = 1;; ++attempt) {
        const auto found = HF_TRY(search_for(*this, location));
        auto opened = open_named(found.directory.get(), found.name, location, flags);
        if (opened || opened.error().code != ErrorCode::not_found || attempt == name_attempts) return opened;
    }
}

// What NAME leads to, if that is the object at LOCATION.
Result<UniqueFd> Image::open_named(int directory_fd, const std::string& name, const ImageLocation& location, int flags) const {
    UniqueFd fd(::openat(directory_fd, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK)));
    if (!fd) return errno_error(errno, "open " + quoted(name) + " in the image");
    if (HF_TRY(file_handle_at(fd.get(), "")).bytes == location.handle) return fd;
    return Error{ErrorCode::not_found, quoted(name) + " in the image is another object", ENOENT};
}

Result<ObjectId> Image::object_of(int fd) const {
    if (marks_) return marks_->object_of(HF_TRY(file_handle_at(fd, "")));
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
    if (marks_) return marks_->object_of(HF_TRY(file_handle_at(directory_fd, name)));
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

Result<bool> Image::remove_unfinished_grave(int directory_fd, const std::string& name) const {
    if (directory_fd != graveyard_.get()) return false;
    const auto object = object_of(directory_fd, name);
    if (!object && object.error().code == ErrorCode::not_found) return false;
    if (!object) return Error(object.error());
    if (*object == parse_object_id(name)) return false;
    HF_TRY(remove_tree(directory_fd, name));
    return true;
}

std::string Image::grave_name(const ObjectId& object) {
    return journal::to_string(object);
}

}  // namespace holdfast::rewind
