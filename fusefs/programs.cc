#include "fusefs/programs.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <cerrno>

#include "base/program.h"
#include "base/text.h"

namespace holdfast::fusefs {
namespace {

constexpr const char* own_link = "/proc/self/exe";
constexpr ProgramPlace store_place{"HOLDFAST_STORE_BIN", "../libexec/holdfast/holdfast-store", "holdfast-store", "../rewind/holdfast-store"};

Result<Program> open_program(const std::string& file, std::string path) {
    UniqueFd fd(::open(file.c_str(), O_PATH | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open the program " + quoted(path));
    return Program{std::move(path), std::move(fd)};
}

// By its link in /proc: the name may mean another file by now.
Result<Program> open_own_program() {
    char buffer[PATH_MAX];
    const ssize_t length = ::readlink(own_link, buffer, sizeof buffer);
    if (length <= 0) return errno_error(errno, std::string("read ") + own_link);
    return open_program(own_link, std::string(buffer, static_cast<size_t>(length)));
}

}  // namespace

Result<Programs> Programs::open(bool with_store) {
    Programs programs;
    programs.capture = HF_TRY(open_own_program());
    if (!with_store) return programs;
    std::string store = HF_TRY(find_program(store_place));
    programs.store = HF_TRY(open_program(store, store));
    return programs;
}

}  // namespace holdfast::fusefs
