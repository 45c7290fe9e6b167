#include "base/unix_socket.h"

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

Result<UniqueFd> connect_unix(const std::string& path) {
    sockaddr_un address = HF_TRY(unix_address(path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return errno_error(errno, "make a control socket");
    while (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        if (errno == EINTR) continue;
        Error error = errno_error(errno, "nobody answers at " + quoted(path));
        if (errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED) error.code = ErrorCode::unavailable;
        return error;
    }
    return fd;
}

Result<UnixListener> UnixListener::open(const std::string& path, int backlog) {
    sockaddr_un address = HF_TRY(unix_address(path));
    HF_TRY(make_directory_of(path));
    if (auto answered = connect_unix(path); answered)
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
    if (::listen(fd.get(), backlog) != 0) return errno_error(errno, "listen at " + quoted(path));
    return UnixListener(path, std::move(fd), inode_at(path));
}

UnixListener::UnixListener(UnixListener&& other) noexcept : path_(std::move(other.path_)), fd_(std::move(other.fd_)), inode_(std::exchange(other.inode_, 0)) {}

UnixListener::~UnixListener() {
    if (inode_ != 0 && inode_at(path_) == inode_) ::unlink(path_.c_str());
}

}  // namespace holdfast
