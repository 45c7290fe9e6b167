#include "tools/cli/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "tools/cli/output.h"

namespace holdfast::cli {

namespace {

// Only what may be called between fork and exec.
[[noreturn]] void become(char* const* arguments, char* const* environment, int input, int output, int errors, Child::Lifetime lifetime,
                         pid_t parent) {
    if (lifetime == Child::Lifetime::own) ::setsid();
    if (lifetime == Child::Lifetime::group) ::setpgid(0, 0);
    if (lifetime == Child::Lifetime::ours) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        // The parent may have died before the line above took effect.
        if (::getppid() != parent) ::_exit(127);
    }
    ::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0) ::_exit(127);
    if (errors >= 0 && ::dup2(errors, STDERR_FILENO) < 0) ::_exit(127);
    ::execvpe(arguments[0], arguments, environment);
    ::_exit(127);
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& arguments, const Options& options) {
    HF_CHECK(!arguments.empty());
    std::vector<char*> raw;
    for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);

    std::vector<char*> environment;
    for (const std::string& variable : options.environment) environment.push_back(const_cast<char*>(variable.c_str()));
    for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
    environment.push_back(nullptr);

    UniqueFd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    UniqueFd said(options.log_path.empty() ? static_cast<int>(::memfd_create("holdfast-child", MFD_CLOEXEC))
                                           : ::open(options.log_path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!input || !said) return errno_error(errno, "prepare to start " + arguments[0]);
    // Several writers share the memory file through one description, so their lines do not overwrite each other.
    pid_t parent = ::getpid();
    pid_t pid = ::fork();
    if (pid < 0) return errno_error(errno, "start " + arguments[0]);
    if (pid == 0)
        become(raw.data(), environment.data(), input.get(), said.get(), options.inherit_errors ? -1 : said.get(), options.lifetime, parent);
    return Child(pid, std::move(said));
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), ended_(other.ended_), status_(other.status_), errors_(std::move(other.errors_)) {}

Child::~Child() {
    if (pid_ < 0 || ended_) return;
    terminate();
    if (wait(stop_timeout_ms)) return;
    ::kill(pid_, SIGKILL);
    wait(-1);
}

bool Child::wait(int timeout_ms) {
    if (ended_) return true;
    HF_CHECK(pid_ > 0);
    UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (process) {
        pollfd ready{process.get(), POLLIN, 0};
        int count;
        do {
            count = ::poll(&ready, 1, timeout_ms);
        } while (count < 0 && errno == EINTR);
        if (count <= 0) return false;
    }
    int raw = 0;
    if (::waitpid(pid_, &raw, 0) != pid_) return false;
    ended_ = true;
    status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    return true;
}

void Child::terminate() {
    if (pid_ > 0 && !ended_) ::kill(pid_, SIGTERM);
}

void Child::kill_group() {
    if (pid_ > 0 && !ended_) ::kill(-pid_, SIGKILL);
}

pid_t Child::detach() { return std::exchange(pid_, -1); }

std::string Child::error_text() const {
    struct stat status;
    if (!errors_ || ::fstat(errors_.get(), &status) != 0) return {};
    auto size = static_cast<uint64_t>(status.st_size);
    uint64_t start = size > error_text_bytes_max ? size - error_text_bytes_max : 0;
    std::string text(size - start, '\0');
    ssize_t count = ::pread(errors_.get(), text.data(), text.size(), static_cast<off_t>(start));
    text.resize(count > 0 ? static_cast<size_t>(count) : 0);
    return text;
}

std::string Child::last_error_line() const {
    std::string text = error_text();
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    size_t newline = text.rfind('\n');
    std::string line = newline == std::string::npos ? text : text.substr(newline + 1);
    for (std::string_view name : {"mount.fuse.holdfast: ", "holdfast-store: "}) {
        if (line.starts_with(name)) line.erase(0, name.size());
    }
    return line;
}

Status run_hook(std::string_view what, const std::string& command, int timeout_ms) {
    Child child = HF_TRY(Child::start({"/bin/sh", "-c", command}, {.lifetime = Child::Lifetime::group}));
    if (!child.wait(timeout_ms)) {
        child.kill_group();
        return Error{ErrorCode::unavailable, std::string(what) + " took longer than " +
                                             human_duration(static_cast<uint64_t>(timeout_ms) * 1'000'000) + " and was killed: " +
                                             printable(command)};
    }
    if (child.exit_status() != 0) {
        return Error{ErrorCode::invalid_argument, std::string(what) + " ended with status " + std::to_string(child.exit_status()) +
                                                  ": " + printable(child.last_error_line().empty() ? command : child.last_error_line())};
    }
    return ok();
}

}  // namespace holdfast::cli
