#include "rewind/xattrs.h"

#include <limits.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "rewind/apply/object_files.h"

namespace holdfast::rewind {
namespace {

constexpr size_t usual_bytes = 1024;

// What READ answers, which most often is short.
template <typename Read>
ssize_t read_all(std::string& into, size_t bytes_max, const Read& read) {
    into.resize(usual_bytes);
    ssize_t length = read(into);
    if (length < 0 && errno == ERANGE) {
        into.resize(bytes_max);
        length = read(into);
    }
    return length;
}

// Without the product's own.
Result<std::vector<std::string>> names_in_image(int fd) {
    std::vector<std::string> found;
    std::string names;
    const ssize_t size = read_all(names, XATTR_LIST_MAX, [&](std::string& into) {
        const ssize_t length = ::flistxattr(fd, into.data(), into.size());
        return length < 0 && errno == EBADF ? ::listxattr(descriptor_path(fd).c_str(), into.data(), into.size()) : length;
    });
    if (size < 0 && errno == EOPNOTSUPP) return found;
    if (size < 0) return errno_error(errno, "list the extended attributes of an object of the image");
    for (size_t at = 0; at < static_cast<size_t>(size);) {
        std::string name(names.c_str() + at);
        at += name.size() + 1;
        if (!is_private_xattr(name)) found.push_back(std::move(name));
    }
    return found;
}

// Through /proc, because a descriptor that can be opened of anything (O_PATH) refuses fgetxattr.
Result<std::optional<std::string>> value_in_image(int fd, const std::string& name) {
    const std::string path = descriptor_path(fd);
    std::string value;
    const ssize_t length = read_all(value, XATTR_SIZE_MAX, [&](std::string& into) { return ::getxattr(path.c_str(), name.c_str(), into.data(), into.size()); });
    if (length < 0 && errno == ENODATA) return std::optional<std::string>();
    if (length < 0) return errno_error(errno, "read extended attribute " + quoted(name) + " of the image");
    value.resize(static_cast<size_t>(length));
    return std::optional(std::move(value));
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> xattrs_of_object(const Image& image, const ObjectId& object, int fd) {
    std::vector<std::pair<std::string, std::string>> found;
    for (std::string& name : HF_TRY(names_in_image(fd)))
        if (auto value = HF_TRY(value_in_image(fd, name))) found.emplace_back(std::move(name), std::move(*value));
    // One that moves is in both for a moment, and whoever looks at an earlier one finds its undo: either will do.
    for (auto& spilled : HF_TRY(image.spilled().of(object))) found.push_back(std::move(spilled));
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first == b.first; }), found.end());
    return found;
}

Result<std::vector<std::string>> xattr_names_of_object(const Image& image, const ObjectId& object, int fd) {
    auto names = HF_TRY(names_in_image(fd));
    for (auto& [name, value] : HF_TRY(image.spilled().of(object))) names.push_back(std::move(name));
    return names;
}

Result<std::optional<std::string>> xattr_of_object(const Image& image, const ObjectId& object, int fd, std::string_view name) {
    if (auto spilled = HF_TRY(image.spilled().value(object, name))) return spilled;
    auto value = value_in_image(fd, std::string(name));
    if (!value && value.error().sys_errno == EOPNOTSUPP) return std::optional<std::string>();  // a file system that keeps nothing of that kind
    return value;
}

}  // namespace holdfast::rewind
