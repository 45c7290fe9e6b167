#include "base/program_output.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "base/child_process.h"
#include "base/small_file.h"
#include "base/text.h"

namespace holdfast {

Result<ProgramOutput> output_of(const std::string& path, std::vector<std::string> arguments, int limit_ms) {
    if (::access(path.c_str(), X_OK) != 0) return errno_error(errno, "run " + quoted(path));
    const UniqueFd said(::memfd_create("output", MFD_CLOEXEC)), nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!said || !nowhere) return errno_error(errno, "take what a program says");
    const Program program{path, {}};
    ChildProcess child = HF_TRY(ChildProcess::start({.program = program, .arguments = std::move(arguments), .log_fd = nowhere.get(), .output_fd = said.get(), .leads_group = true}));
    if (!child.wait(limit_ms)) {
        child.kill();
        return Error{ErrorCode::unavailable, quoted(path) + " did not end within " + std::to_string(limit_ms) + " ms and was killed"};
    }
    if (child.end().by_signal) return Error{ErrorCode::io, quoted(path) + " " + child.describe_end()};
    if (::lseek(said.get(), 0, SEEK_SET) != 0) return errno_error(errno, "read what a program said");
    std::string text = HF_TRY(read_text(said.get(), program_output_bytes_max + 1));
    if (text.size() > program_output_bytes_max) return Error{ErrorCode::io, quoted(path) + " said more than " + human_bytes(program_output_bytes_max)};
    return ProgramOutput{child.exit_status(), std::move(text)};
}

std::string program_in_path(const std::string& name) {
    const char* given = std::getenv("PATH");
    std::istringstream places(given != nullptr && *given != 0 ? given : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for (std::string place; std::getline(places, place, ':');)
        if (place.starts_with('/') && ::access((place + "/" + name).c_str(), X_OK) == 0) return place + "/" + name;
    return {};
}

}  // namespace holdfast
