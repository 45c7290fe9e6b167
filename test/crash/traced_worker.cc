#include "test/crash/traced_worker.h"

#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <cstdlib>

#include "fusefs/worker.h"

namespace holdfast::test {
namespace {

constexpr auto patience = std::chrono::seconds(60);
constexpr int look_again_ms = 100;
constexpr int call_stop = SIGTRAP | 0x80;

// Calls after which everything outside the process is as before.
bool changes_nothing(long call) {
    static constexpr long harmless[] = {SYS_newfstatat, SYS_fstat, SYS_statx, SYS_close, SYS_futex, SYS_setfsuid, SYS_setfsgid, SYS_setresuid, SYS_setresgid,
                                        SYS_setgroups, SYS_umask, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_fgetxattr, SYS_getxattr, SYS_flistxattr,
                                        SYS_faccessat, SYS_faccessat2, SYS_lseek, SYS_pread64};
    return std::find(std::begin(harmless), std::end(harmless), call) != std::end(harmless);
}

sigset_t child_signal() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return set;
}

}  // namespace

TracedWorker::TracedWorker(fusefs::WorkerArguments arguments, int log_fd) : arguments_(std::move(arguments)), log_fd_(log_fd) {
    const sigset_t set = child_signal();
    sigprocmask(SIG_BLOCK, &set, nullptr);
    children_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    start();
}

TracedWorker::~TracedWorker() {
    if (process_ < 0) return;
    kill(process_, SIGKILL);
    while (process_ > 0) {
        int status = 0;
        const pid_t ended = waitpid(-1, &status, __WALL);
        if (ended == process_ || (ended < 0 && errno != EINTR)) process_ = -1;
    }
}

void TracedWorker::start() {
    auto sockets = fusefs::keeper_socketpair();
    if (!sockets) {
        failure_ = sockets.error().message;
        return;
    }
    keeper_ = std::move(sockets->first);
    serving_ = -1;
    is_ready_ = false;
    process_ = fork();
    if (process_ != 0) return;
    dup2(log_fd_, STDOUT_FILENO);
    dup2(log_fd_, STDERR_FILENO);
    arguments_.keeper_fd = sockets->second.release();
    keeper_.reset();
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    _exit(fusefs::run_worker(arguments_));
}

void TracedWorker::arm(size_t stop) {
    stops_left_ = stop;
    has_killed_ = false;
    place_.clear();
}

std::optional<std::string> TracedWorker::pump(const std::function<bool()>& is_done) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        take_stops();
        while (keeper_) {
            const auto event = kept_.handle(keeper_.get());
            if (event == fusefs::KeeperStore::Event::ready) is_ready_ = true;
            if (event == fusefs::KeeperStore::Event::closed) keeper_.reset();
            if (event == fusefs::KeeperStore::Event::closed || event == fusefs::KeeperStore::Event::nothing) break;
        }
        if (failure_) return failure_;
        if (is_done()) return std::nullopt;
        if (std::chrono::steady_clock::now() > deadline) return "nothing happens any more" + (place_.empty() ? "" : ", since a death " + place_);
        pollfd waits[] = {{children_.get(), POLLIN, 0}, {keeper_.get(), POLLIN, 0}};
        poll(waits, 2, look_again_ms);
        signalfd_siginfo ignored;
        while (read(children_.get(), &ignored, sizeof ignored) > 0) {
        }
    }
}

void TracedWorker::take_stops() {
    for (int status = 0; process_ > 0;) {
        const pid_t thread = waitpid(-1, &status, WNOHANG | __WALL);
        if (thread <= 0) return;
        if (WIFSTOPPED(status)) on_stop(thread, status);
        else if (thread == process_) on_end(status);
    }
}

void TracedWorker::on_stop(pid_t thread, int status) {
    const int signal = WSTOPSIG(status);
    if (thread == process_ && signal == SIGSTOP)  // its own beginning
        ptrace(PTRACE_SETOPTIONS, thread, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE);
    if (signal == call_stop) on_call(thread);
    const bool is_ours = signal == call_stop || signal == SIGSTOP || signal == SIGTRAP;
    // The first thread only prepares, and many calls long. A death may have come first: nothing is to be resumed then.
    ptrace(thread == process_ ? PTRACE_CONT : PTRACE_SYSCALL, thread, nullptr, is_ours ? 0 : signal);
}

void TracedWorker::on_call(pid_t thread) {
    __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return;
    const bool is_entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
    if (is_entry && info.entry.nr == SYS_read && static_cast<int>(info.entry.args[0]) == arguments_.device_fd) serving_ = thread;
    if (thread != serving_) return;
    if (is_entry) call_ = static_cast<long>(info.entry.nr);
    const uint64_t state = shared_state ? shared_state() : 0;
    const bool is_same_world = state == state_ && (is_entry || changes_nothing(call_));
    state_ = state;
    if (is_same_world || stops_left_ == 0 || --stops_left_ > 0) return;
    kill_here(is_entry ? "before" : "after");
}

void TracedWorker::kill_here(const char* when) {
    if (at_kill) at_kill();
    has_killed_ = true;
    place_ = std::string(when) + " system call " + std::to_string(call_);
    kill(process_, SIGKILL);
}

void TracedWorker::on_end(int status) {
    process_ = -1;
    // What it said last still counts.
    while (keeper_ && kept_.handle(keeper_.get()) == fusefs::KeeperStore::Event::served) {
    }
    keeper_.reset();
    if (WIFEXITED(status) && WEXITSTATUS(status) == fusefs::worker_ended) {
        is_over_ = true;
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && has_killed_) {
        arguments_.resumed = true;
        arguments_.session += 1;
        start();
    } else {
        failure_ = "the worker ended with wait status " + std::to_string(status) + (place_.empty() ? "" : ", after a death " + place_);
    }
}

}  // namespace holdfast::test
