#include "base/real_path.h"

#include <limits.h>
#include <stdlib.h>

#include <string_view>

namespace holdfast {

std::string real_path(const std::string& path) {
    char buffer[PATH_MAX];
    return ::realpath(path.c_str(), buffer) != nullptr ? std::string(buffer) : path;
}

std::string real_place(const std::string& path) {
    char buffer[PATH_MAX];
    if (::realpath(path.c_str(), buffer) != nullptr) return buffer;
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return path;
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    if (::realpath(parent.c_str(), buffer) == nullptr) return path;
    return (buffer == std::string_view("/") ? "" : buffer) + path.substr(slash);
}

}  // namespace holdfast
