#include "rewind/xattrs.h"

#include <limits.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
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

// Through /proc, because a descriptor that can be opened of anything (O_PATH) refuses fgetxattr.
Result<std::vector<std::pair<std::string, std::string>>> xattrs_in_image(int fd) {
    std::vector<std::pair<std::string, std::string>> found;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    std::string names, value;
    const ssize_t size = read_all(names, XATTR_LIST_MAX, [&](std::string& into) {
        const ssize_t length = ::flistxattr(fd, into.data(), into.size());
        return length < 0 && errno == EBADF ? ::listxattr(path.c_str(), into.data(), into.size()) : length;
    });
    if (size < 0 && errno == ENOTSUP) return found;
    if (size < 0) return errno_error(errno, "list the extended attributes of an object of the image");
    for (size_t at = 0; at < static_cast<size_t>(size);) {
        std::string name(names.c_str() + at);
        at += name.size() + 1;
        if (is_private_xattr(name)) continue;
        const ssize_t length = read_all(value, XATTR_SIZE_MAX, [&](std::string& into) { return ::getxattr(path.c_str(), name.c_str(), into.data(), into.size()); });
        if (length < 0 && errno == ENODATA) continue;
        if (length < 0) return errno_error(errno, "read extended attribute " + quoted(name) + " of the image");
        found.emplace_back(std::move(name), value.substr(0, static_cast<size_t>(length)));
    }
    return found;
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> xattrs_of_object(const Image& image, const ObjectId& object, int fd) {
    auto found = HF_TRY(xattrs_in_image(fd));
    // One that moves is in both for a moment, and whoever looks at an earlier one finds its undo: either will do.
    for (auto& spilled : HF_TRY(image.spilled().of(object))) found.push_back(std::move(spilled));
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first == b.first; }), found.end());
    return found;
}

}  // namespace holdfast::rewind
