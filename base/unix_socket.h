// Stream sockets with a path in the file system, for a service and those on its host who may speak to it.
// Thread rule: any thread; an object is used by one at a time.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast {

inline constexpr int connect_wait_s = 5;

// Errors: invalid_argument when PATH is too long for a socket (107 bytes) or empty.
Result<sockaddr_un> unix_address(const std::string& path);

// Waits at most connect_wait_s for whoever listens and does not accept. Errors: unavailable when nobody listens there, or (ETIMEDOUT) takes no more.
Result<UniqueFd> connect_unix(const std::string& path);

// A process that may not connect by itself has it done by CONNECT, which does not wait (EAGAIN: nobody there accepts yet); connect_unix() uses it from then on.
// Thread rule: before the second thread starts; CONNECT is called by any.
using ConnectUnix = std::function<Result<UniqueFd>(const std::string& path)>;
void connect_unix_by(ConnectUnix connect);
// A connected socket by whom connect_unix_by() named; null: nobody, connect here.
const ConnectUnix& other_connect_unix();

// A socket that listens at a path, mode 0600, in a directory that is made 0700. What a process that died has left there is
// replaced. The path is removed with this object, unless somebody else took it over in the meantime.
class UnixListener {
public:
    // Errors: busy when somebody answers at PATH, io.
    static Result<UnixListener> open(const std::string& path, int backlog);
    // The same in two steps: until listen() nobody answers there, as if there were no socket.
    static Result<UnixListener> reserve(const std::string& path);
    Status listen(int backlog);
    UnixListener(UnixListener&& other) noexcept;
    UnixListener& operator=(UnixListener&&) = delete;
    ~UnixListener();

    // FD listens at PATH, made by another process that also removes the path.
    static UnixListener adopt(std::string path, UniqueFd fd) { return UnixListener(std::move(path), std::move(fd), 0); }
    // For another process to accept; this object still removes the path.
    UniqueFd give_away() { return std::move(fd_); }

    int fd() const { return fd_.get(); }  // does not block
    const std::string& path() const { return path_; }

private:
    UnixListener(std::string path, UniqueFd fd, ino_t inode) : path_(std::move(path)), fd_(std::move(fd)), inode_(inode) {}

    std::string path_;
    UniqueFd fd_;
    ino_t inode_;  // 0: the path is not removed
};

}  // namespace holdfast
