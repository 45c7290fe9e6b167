#include "base/real_path.h"

#include <limits.h>
#include <stdlib.h>

namespace holdfast {

std::string real_path(const std::string& path) {
    char buffer[PATH_MAX];
    return ::realpath(path.c_str(), buffer) != nullptr ? std::string(buffer) : path;
}

}  // namespace holdfast
