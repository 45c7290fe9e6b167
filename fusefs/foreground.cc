#include "fusefs/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "base/program.h"

namespace holdfast::fusefs {
namespace {

constexpr std::string_view success_message = "ready";
constexpr std::string_view clear_line = "\r\x1b[K";

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;  // nobody reads any more: the caller is gone, and that is noticed elsewhere
        text.remove_prefix(static_cast<size_t>(written));
    }
}

// What the half that waits does: everything until the pipe closes is the message.
int wait_for_message(int pipe) {
    std::string message;
    char buffer[4096];
    for (;;) {
        const ssize_t got = ::read(pipe, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        message.append(buffer, static_cast<size_t>(got));
    }
    if (message == success_message) return 0;
    // Otherwise the error's code as one byte, and its sentence.
    Error error{ErrorCode::unavailable, "the supervisor ended before the directory was served; the log in the store says more"};
    if (!message.empty()) error = {static_cast<ErrorCode>(message[0]), message.substr(1)};
    const char* wants_codes = ::getenv("HOLDFAST_EXIT_CODES");
    if (wants_codes == nullptr || std::string_view(wants_codes) != "1") {
        std::fprintf(stderr, "mount.fuse.holdfast: %s\n", error.message.c_str());
        return exit_mount_failed;
    }
    std::printf("%s\n", error.message.c_str());
    return exit_status_of(error);
}

}  // namespace

Result<std::optional<Foreground>> Foreground::split(int& status) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "making a pipe");
    UniqueFd reading(ends[0]), writing(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error(errno, "starting the supervisor");
    if (pid > 0) {
        writing.reset();
        status = wait_for_message(reading.get());
        return std::optional<Foreground>();
    }
    ::setsid();
    ::signal(SIGPIPE, SIG_IGN);
    // A working directory would keep the caller's file system busy, and so would descriptors it happened to leave open.
    if (::chdir("/") != 0) return errno_error(errno, "changing to /");
    reading.reset();
    const int kept = STDERR_FILENO + 1;
    if (writing.get() != kept) {
        if (::dup3(writing.get(), kept, O_CLOEXEC) < 0) return errno_error(errno, "preparing the supervisor");
        writing.reset(kept);
    }
    ::syscall(SYS_close_range, kept + 1, ~0U, 0);
    Foreground foreground(std::move(writing));
    if (::isatty(STDERR_FILENO)) foreground.terminal_.reset(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, kept + 1));
    return std::optional<Foreground>(std::move(foreground));
}

void Foreground::progress(std::string_view line) {
    if (!terminal_) return;
    write_all(terminal_.get(), std::string(clear_line).append(line));
    line_shown_ = true;
}

void Foreground::log_to(int fd) {
    UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (nothing) ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(fd, STDOUT_FILENO);
    ::dup2(fd, STDERR_FILENO);
}

void Foreground::succeed() { tell(success_message); }

void Foreground::fail(const Error& error) { tell(std::string(1, static_cast<char>(error.code)) + error.message); }

void Foreground::tell(std::string_view message) {
    if (line_shown_) write_all(terminal_.get(), clear_line);
    terminal_.reset();
    if (message_) write_all(message_.get(), message);
    message_.reset();
}

bool Foreground::abandoned() const {
    if (!message_) return false;
    pollfd writing{message_.get(), 0, 0};
    return ::poll(&writing, 1, 0) > 0 && (writing.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace holdfast::fusefs
