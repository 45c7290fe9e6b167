#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>

#include "base/check.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr int exec_failed_status = 127;

// Only what may be called between fork and exec.
[[noreturn]] void become(char* const* arguments, const ChildStart& how, int input, pid_t parent) {
    if (how.ends_with_parent) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        // The parent may have died before the line above took effect.
        if (::getppid() != parent) ::_exit(exec_failed_status);
    }
    if (how.leads_group) ::setpgid(0, 0);
    // A service takes its signals through a descriptor and so has them blocked; the mask would survive exec.
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    for (const int fd : how.inherited)
        if (::fcntl(fd, F_SETFD, 0) != 0) ::_exit(exec_failed_status);
    const int output = how.output_fd >= 0 ? how.output_fd : how.log_fd;
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(how.log_fd, STDERR_FILENO) < 0)
        ::_exit(exec_failed_status);
    if (how.program.file) ::execveat(how.program.file.get(), "", arguments, ::environ, AT_EMPTY_PATH);
    else ::execve(how.program.path.c_str(), arguments, ::environ);
    ::_exit(exec_failed_status);
}

}  // namespace

std::string describe(const ProcessEnd& end) {
    if (end.by_signal) return "was killed by signal " + std::to_string(end.status);
    if (end.status == exec_failed_status) return "could not be started";
    return "ended with status " + std::to_string(end.status);
}

Result<ChildProcess> ChildProcess::start(const ChildStart& how) {
    HF_CHECK(how.log_fd >= 0);
    std::vector<char*> raw{const_cast<char*>(how.program.path.c_str())};
    for (const std::string& argument : how.arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);

    UniqueFd nothing;
    if (how.input_fd < 0) nothing.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int input = how.input_fd >= 0 ? how.input_fd : nothing.get();
    if (input < 0) return errno_error(errno, "open /dev/null");
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error(errno, "start " + quoted(how.program.path));
    if (pid == 0) become(raw.data(), how, input, parent);
    // On both sides, so that it is one whoever of them is first.
    if (how.leads_group) ::setpgid(pid, pid);
    UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    ChildProcess child(pid, std::move(pidfd), how.leads_group);
    // Without it we could not wait with a bound; the destructor ends the child.
    if (!child.pidfd_) return errno_error(errno, "watch " + quoted(how.program.path));
    ::fcntl(child.pidfd_.get(), F_SETFD, FD_CLOEXEC);
    return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), leads_group_(other.leads_group_), pidfd_(std::move(other.pidfd_)), ended_(other.ended_), signal_(other.signal_), status_(other.status_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    if (this == &other) return *this;
    end_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    leads_group_ = other.leads_group_;
    pidfd_ = std::move(other.pidfd_);
    ended_ = other.ended_;
    signal_ = other.signal_;
    status_ = other.status_;
    return *this;
}

ChildProcess::~ChildProcess() { end_and_reap(); }

void ChildProcess::end_and_reap() {
    if (pid_ < 0 || ended_) return;
    kill();
    int raw = 0;
    while (::waitpid(pid_, &raw, 0) < 0 && errno == EINTR) {
    }
    ended_ = true;
}

bool ChildProcess::wait(int timeout_ms) {
    if (ended_) return true;
    HF_CHECK(pid_ > 0);
    pollfd ready{pidfd_.get(), POLLIN, 0};
    int count;
    do count = ::poll(&ready, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    if (count <= 0) return false;
    int raw = 0;
    if (::waitpid(pid_, &raw, 0) != pid_) return false;
    ended_ = true;
    signal_ = WIFSIGNALED(raw);
    status_ = signal_ ? WTERMSIG(raw) : WEXITSTATUS(raw);
    return true;
}

std::string ChildProcess::describe_end() const {
    HF_CHECK(ended_);
    return describe(end());
}

void ChildProcess::signal_all(int number) {
    if (pid_ > 0 && !ended_) ::kill(leads_group_ ? -pid_ : pid_, number);
}

void ChildProcess::terminate() {
    signal_all(SIGTERM);
}

void ChildProcess::kill() {
    signal_all(SIGKILL);
}

}  // namespace holdfast
