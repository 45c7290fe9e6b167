#include "base/program.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/text.h"

namespace holdfast {

namespace {

constexpr ErrorCode last_error_code = ErrorCode::gap;

}  // namespace

Result<std::string> own_program() {
    char buffer[PATH_MAX];
    const ssize_t length = ::readlink(own_program_link, buffer, sizeof buffer);
    if (length <= 0) return errno_error(errno, std::string("read ") + own_program_link);
    return std::string(buffer, static_cast<size_t>(length));
}

Result<std::string> find_program(const ProgramPlace& place) {
    const char* named = ::getenv(place.variable);
    if (named != nullptr && *named != '\0') {
        if (::access(named, X_OK) == 0) return std::string(named);
        return Error{ErrorCode::not_found, std::string(place.variable) + " names " + quoted(std::string_view(named)) + ", which cannot be run"};
    }
    const std::string program = HF_TRY(own_program());
    const std::string directory = program.substr(0, program.rfind('/'));
    for (const char* candidate : {place.installed, place.name, place.build_tree}) {
        std::string path = directory + "/" + candidate;
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    // As a mount helper is installed where mount(8) looks, whatever the prefix; its own companions lie in one of these.
    for (const char* system_wide : {"/sbin/", "/usr/libexec/holdfast/", "/usr/local/libexec/holdfast/"}) {
        std::string path = std::string(system_wide) + place.name;
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    return Error{ErrorCode::not_found, std::string("the program ") + place.name + " is missing beside " + quoted(directory) +
                                           ": install all of Holdfast, or name it in " + place.variable};
}

void show_process_as(const std::string& words) {
    std::ifstream own("/proc/self/cmdline");
    const std::string now{std::istreambuf_iterator<char>(own), {}};
    if (now.empty()) return;
    memset(program_invocation_name, 0, now.size());
    memcpy(program_invocation_name, words.data(), std::min(words.size(), now.size() - 1));
}

ErrorCode error_code_of(int status, ErrorCode otherwise) {
    const int code = status - exit_code_base;
    return code >= 0 && code <= static_cast<int>(last_error_code) ? static_cast<ErrorCode>(code) : otherwise;
}

}  // namespace holdfast
