#include <sys/mman.h>

#include "base/child_process.h"
#include "base/text.h"
#include "replicator/notify/deliveries.h"

namespace holdfast::replicator {

namespace {

// TEXT as something to read, from its beginning; there is nobody who must go on writing it.
Result<UniqueFd> readable(const std::string& text) {
    UniqueFd file(::memfd_create("holdfast-event", MFD_CLOEXEC));
    if (!file) return errno_error(errno, "make a file in memory");
    if (::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return errno_error(errno, "write to a file in memory");
    return file;
}

}  // namespace

Notifier::Deliver exec_delivery(std::vector<std::string> command, int limit_ms) {
    return [command = std::move(command), limit_ms](const Notice& notice) -> Status {
        const UniqueFd input = HF_TRY(readable(line_of(to_json(notice))));
        const Program program{command.front(), {}};
        auto child = HF_TRY(ChildProcess::start({.program = program,
                                                 .arguments = {command.begin() + 1, command.end()},
                                                 .log_fd = STDERR_FILENO,
                                                 .input_fd = input.get(),
                                                 .leads_group = true}));
        if (!child.wait(limit_ms)) {
            child.kill();
            return Error{ErrorCode::unavailable, quoted(command.front()) + " did not end within " + std::to_string(limit_ms / 1000) + " s and was killed"};
        }
        if (!child.exited_with(0)) return Error{ErrorCode::io, quoted(command.front()) + " " + child.describe_end()};
        return ok();
    };
}

}  // namespace holdfast::replicator
