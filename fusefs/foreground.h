// The two halves of the mount helper. mount(8) waits for the process that it started, the mount must be served long
// after: so the program splits in two. The foreground half only waits for one message and repeats it; the background
// half does everything and lives on.
//
// With HOLDFAST_EXIT_CODES=1 in its environment (set by `holdfast protect`) the waiting half tells more than mount(8)
// wants to know: the exit status is exit_code_base + the error's code, and the sentence goes to standard output.
//
// If the foreground half is interrupted, the background half notices (abandoned()) and takes everything back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::fusefs {

// Exit statuses as mount(8) wants them of its helpers.
inline constexpr int exit_usage = 1;
inline constexpr int exit_mount_failed = 32;

class Foreground {
public:
    // Splits the process. Returns twice: nothing in the half that waits (its exit status is then in STATUS), the other
    // end in the half that works, which is then the leader of a session of its own, at "/", with nothing of the
    // caller's open but standard error.
    static Result<std::optional<Foreground>> split(int& status);

    // One line of progress on the caller's terminal, replacing the one before; nothing when it is not a terminal.
    void progress(std::string_view line);
    // From here on the caller's terminal and pipes are let go. FD becomes standard output and standard error.
    void log_to(int fd);

    // Ends the wait, once.
    void succeed();
    void fail(const Error& error);

    // Becomes ready for POLLERR when the waiting half is gone before it was told anything; -1 afterwards.
    int fd() const { return message_.get(); }
    bool abandoned() const;

private:
    explicit Foreground(UniqueFd message) : message_(std::move(message)) {}
    void tell(std::string_view message);

    UniqueFd message_;
    UniqueFd terminal_;
    bool line_shown_ = false;
};

}  // namespace holdfast::fusefs
