#include "base/unix_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/text.h"

namespace holdfast {

namespace {

Status make_directory_of(const std::string& path) {
    std::filesystem::path parent = std::filesystem::path(path).parent_path();
    std::filesystem::path made;
    for (const auto& component : parent) {
        made /= component;
        if (::mkdir(made.c_str(), 0700) != 0 && errno != EEXIST)
            return errno_error(errno, "make directory " + quoted(made.native()));
    }
    return ok();
}

constexpr int full_queue_pause_ms = 20;

ConnectUnix& other_connect() {
    static ConnectUnix connect;
    return connect;
}

// A queue that is full may have room in a moment.
Result<UniqueFd> connect_by_other(const std::string& path) {
    for (int waited_ms = 0;; waited_ms += full_queue_pause_ms) {
        auto connected = other_connect()(path);
        if (connected || connected.error().sys_errno != EAGAIN) return connected;
        if (waited_ms >= connect_wait_s * 1000) return Error{ErrorCode::unavailable, "nobody answers at " + quoted(path), ETIMEDOUT};
        ::poll(nullptr, 0, full_queue_pause_ms);
    }
}

ino_t inode_at(const std::string& path) {
    struct stat status;
    return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return Error{ErrorCode::invalid_argument, "the path of control socket " + quoted(path) + " must have 1 to " +
                                                      std::to_string(sizeof address.sun_path - 1) + " bytes"};
    path.copy(address.sun_path, path.size());
    return address;
}

void connect_unix_by(ConnectUnix connect) {
    other_connect() = std::move(connect);
}

const ConnectUnix& other_connect_unix() {
    return other_connect();
}

Result<UniqueFd> connect_unix(const std::string& path) {
    if (other_connect()) return connect_by_other(path);
    sockaddr_un address = HF_TRY(unix_address(path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return errno_error(errno, "make a control socket");
    // Of a process that is stopped the queue fills up, and then connect() waits like any send().
    timeval wait{connect_wait_s, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    while (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        if (errno == EINTR) continue;
        const int why = errno == EAGAIN ? ETIMEDOUT : errno;
        Error error = errno_error(why, "nobody answers at " + quoted(path));
        if (why == ENOENT || why == ENOTDIR || why == ECONNREFUSED || why == ETIMEDOUT) error.code = ErrorCode::unavailable;
        return error;
    }
    wait = {};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    return fd;
}

Result<UnixListener> UnixListener::open(const std::string& path, int backlog) {
    UnixListener listener = HF_TRY(reserve(path));
    HF_TRY(listener.listen(backlog));
    return listener;
}

Status UnixListener::listen(int backlog) {
    if (::listen(fd_.get(), backlog) != 0) return errno_error(errno, "listen at " + quoted(path_));
    return ok();
}

Result<UnixListener> UnixListener::reserve(const std::string& path) {
    sockaddr_un address = HF_TRY(unix_address(path));
    HF_TRY(make_directory_of(path));
    if (auto answered = connect_unix(path); answered || answered.error().sys_errno == ETIMEDOUT)
        return Error{ErrorCode::busy, "another process answers at " + quoted(path)};
    else if (answered.error().code != ErrorCode::unavailable)
        return std::move(answered).error();
    // Nobody answers, so what lies there was left by a process that died.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "remove " + quoted(path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return errno_error(errno, "make a control socket");
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return errno_error(errno, "bind " + quoted(path));
    if (::chmod(path.c_str(), 0600) != 0) return errno_error(errno, "restrict " + quoted(path));
    return UnixListener(path, std::move(fd), inode_at(path));
}

UnixListener::UnixListener(UnixListener&& other) noexcept : path_(std::move(other.path_)), fd_(std::move(other.fd_)), inode_(std::exchange(other.inode_, 0)) {}

UnixListener::~UnixListener() {
    if (inode_ != 0 && inode_at(path_) == inode_) ::unlink(path_.c_str());
}

}  // namespace holdfast
