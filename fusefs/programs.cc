#include "fusefs/programs.h"

#include <fcntl.h>

#include <cerrno>

#include "base/program.h"
#include "base/text.h"

namespace holdfast::fusefs {
namespace {

Result<Program> open_program(const std::string& file, std::string path) {
    UniqueFd fd(::open(file.c_str(), O_PATH | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open the program " + quoted(path));
    return Program{std::move(path), std::move(fd)};
}

}  // namespace

Result<Programs> Programs::open(bool with_store) {
    Programs programs;
    programs.capture = HF_TRY(open_program(own_program_link, HF_TRY(own_program())));
    if (!with_store) return programs;
    std::string store = HF_TRY(find_program(store_program));
    programs.store = HF_TRY(open_program(store, store));
    return programs;
}

}  // namespace holdfast::fusefs
