// A service at a Unix socket: one thread for each connection.
// Thread rule: start and destruction from one thread; SERVE is called from many.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unix_socket.h"

namespace holdfast {

class UnixServer {
public:
    // Talks on FD until it is done with it; the connection is closed then. FD reads as ended when the server ends.
    using Serve = std::function<void(int fd)>;

    // Replaces a stale socket at PATH, makes its directory (0700). One connection more than CONNECTIONS_MAX is given to REFUSE, on the
    // thread that accepts. Errors: busy when somebody answers there.
    static Result<std::unique_ptr<UnixServer>> start(const std::string& path, int connections_max, Serve serve, Serve refuse);
    static Result<std::unique_ptr<UnixServer>> start(UnixListener listener, int connections_max, Serve serve, Serve refuse);
    ~UnixServer();  // stops accepting, waits for what is being served

private:
    class Impl;
    explicit UnixServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast
