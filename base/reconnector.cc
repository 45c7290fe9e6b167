#include "base/reconnector.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/capabilities.h"
#include "base/program.h"
#include "base/system_call_filter.h"

namespace holdfast {

namespace {

// A question is the bytes of a FileHandle, the answer the error number of the opening.
constexpr size_t type_bytes = sizeof(int32_t);

// In the other process. It allocates nothing: what it is asked comes from whom it must not believe.
constexpr int channel = 0, mount = 1, first_other = 2;

[[noreturn]] void answer_questions() {
    alignas(file_handle) char question[sizeof(file_handle) + MAX_HANDLE_SZ];
    // Handle and type lie in memory as the kernel wants them when the type's place is read over: the size stands before it.
    auto* handle = reinterpret_cast<file_handle*>(question);
    char* const received = reinterpret_cast<char*>(&handle->handle_type);
    for (int kept = -1;;) {
        const ssize_t size = ::recv(channel, received, type_bytes + MAX_HANDLE_SZ, 0);
        if (size <= 0) ::_exit(0);
        const bool makes_sense = size > static_cast<ssize_t>(type_bytes);
        if (makes_sense) handle->handle_bytes = static_cast<unsigned>(size) - static_cast<unsigned>(type_bytes);
        const int opened = makes_sense ? ::open_by_handle_at(mount, handle, O_PATH | O_CLOEXEC) : -1;
        const int32_t error = opened >= 0 ? 0 : makes_sense ? errno : EINVAL;
        if (kept >= 0) ::close(kept);
        kept = opened;
        if (::send(channel, &error, sizeof error, MSG_NOSIGNAL) != sizeof error) ::_exit(0);
    }
}

[[noreturn]] void run(const UniqueFd& own_end, int mount_fd) {
    ::prctl(PR_SET_NAME, "holdfast-reconn");
    show_process_as("holdfast-reconnector");
    // The service is told to end, and then ends this.
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_IGN);
    // Above the places that they shall have.
    const int end = ::fcntl(own_end.get(), F_DUPFD, first_other + 1), directory = ::fcntl(mount_fd, F_DUPFD, first_other + 1);
    if (::dup2(end, channel) != channel || ::dup2(directory, mount) != mount || ::syscall(SYS_close_range, first_other, ~0U, 0) != 0) ::_exit(1);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (!forgo_new_privileges() || !keep_capabilities(capability(CAP_DAC_READ_SEARCH))) ::_exit(1);
    const Status filtered = filter_system_calls(
        only_system_calls({SYS_recvfrom, SYS_sendto, SYS_open_by_handle_at, SYS_close, SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall}));
    if (!filtered && filtered.error().code != ErrorCode::unsupported) ::_exit(1);
    answer_questions();
}

static_assert(offsetof(file_handle, handle_type) + type_bytes == offsetof(file_handle, f_handle), "the type stands right before the handle");

Error has_died() {
    return {ErrorCode::unavailable, "the process that finds directories for the store service has died", EPIPE};
}

}  // namespace

Result<std::unique_ptr<Reconnector>> Reconnector::start(int mount_fd) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "make a pair of sockets");
    UniqueFd ours(ends[0]), its(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error(errno, "start the process that finds directories by handle");
    if (pid == 0) run(its, mount_fd);
    return std::unique_ptr<Reconnector>(new Reconnector(std::move(ours), pid));
}

Reconnector::~Reconnector() {
    channel_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<UniqueFd> Reconnector::attempt_while_connected(const FileHandle& handle, const std::function<Result<UniqueFd>()>& attempt) {
    MutexLock lock(mutex_);
    int32_t error = 0;
    ssize_t got = -1;
    if (::send(channel_.get(), handle.bytes.data(), handle.bytes.size(), MSG_NOSIGNAL) < 0) return has_died();
    do got = ::recv(channel_.get(), &error, sizeof error, 0);
    while (got < 0 && errno == EINTR);
    if (got != sizeof error) return has_died();
    if (error == ESTALE) return Error{ErrorCode::not_found, "open file handle: nothing has it any more", ESTALE};
    if (error != 0) return errno_error(error, "find a directory by its handle");
    return attempt();
}

bool Reconnector::is_there() const {
    pollfd channel{channel_.get(), 0, 0};
    return ::poll(&channel, 1, 0) == 0;
}

}  // namespace holdfast
