#include "base/unix_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"

namespace holdfast {

class UnixServer::Impl {
public:
    Impl(UnixListener listener, UniqueFd stop, int connections_max, Serve serve, Serve refuse)
        : listener_(std::move(listener)), stop_(std::move(stop)), connections_max_(connections_max), serve_(std::move(serve)), refuse_(std::move(refuse)) {
        acceptor_ = std::thread([this] { accept_all(); });
    }

    ~Impl() {
        uint64_t one = 1;
        HF_CHECK(::write(stop_.get(), &one, sizeof one) == sizeof one);
        acceptor_.join();
        // Readers see the end of their input; who serves may still send an answer.
        for (Connection& connection : connections_) ::shutdown(connection.fd.get(), SHUT_RD);
        for (Connection& connection : connections_) connection.thread.join();
    }

private:
    struct Connection {
        UniqueFd fd;
        std::thread thread;
        std::atomic<bool> done{false};
    };

    void accept_all() {
        for (;;) {
            pollfd waiting[] = {{listener_.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
            if (::poll(waiting, 2, -1) < 0 && errno != EINTR) {
                log_error("The socket " + quoted(listener_.path()) + " stopped: " + strerror(errno) + ".");
                return;
            }
            if (waiting[1].revents != 0) return;
            reap();
            UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!fd) {
                // Out of descriptors: the peer stays in the backlog; asking again at once would burn a processor.
                if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(std::chrono::milliseconds(100));
                continue;
            }
            if (connections_.size() >= static_cast<size_t>(connections_max_)) {
                refuse_(fd.get());
                continue;
            }
            Connection& connection = connections_.emplace_back();
            connection.fd = std::move(fd);
            connection.thread = std::thread([this, &connection] {
                serve_(connection.fd.get());
                ::shutdown(connection.fd.get(), SHUT_RDWR);
                connection.done = true;
            });
        }
    }

    void reap() {
        for (auto connection = connections_.begin(); connection != connections_.end();) {
            if (connection->done) {
                connection->thread.join();
                connection = connections_.erase(connection);
            } else {
                ++connection;
            }
        }
    }

    UnixListener listener_;
    UniqueFd stop_;
    const int connections_max_;
    const Serve serve_, refuse_;
    std::list<Connection> connections_;  // the acceptor's, and the destructor's after it has joined that
    std::thread acceptor_;
};

UnixServer::UnixServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
UnixServer::~UnixServer() = default;

Result<std::unique_ptr<UnixServer>> UnixServer::start(const std::string& path, int connections_max, Serve serve, Serve refuse) {
    UnixListener listener = HF_TRY(UnixListener::open(path, connections_max));
    return start(std::move(listener), connections_max, std::move(serve), std::move(refuse));
}

Result<std::unique_ptr<UnixServer>> UnixServer::start(UnixListener listener, int connections_max, Serve serve, Serve refuse) {
    UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
    if (!stop) return errno_error(errno, "make an eventfd");
    auto impl = std::make_unique<Impl>(std::move(listener), std::move(stop), connections_max, std::move(serve), std::move(refuse));
    return std::unique_ptr<UnixServer>(new UnixServer(std::move(impl)));
}

}  // namespace holdfast
