#include "replicator/engine/dial.h"

#include <memory>

namespace holdfast::replicator {

namespace {

struct Attempt {
    UniqueFd socket;
    SocketAddress address;
    Loop::TimerId deadline = 0;
    bool is_late = false;
};

}  // namespace

void dial(Loop& loop, const SocketAddress& address, std::function<void(Result<UniqueFd>)> done) {
    auto attempt = std::make_shared<Attempt>();
    attempt->address = address;
    attempt->socket.reset(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!attempt->socket) {
        loop.post([done = std::move(done), why = errno_error(errno, "make a socket")] { done(why); });
        return;
    }
    attempt->deadline = loop.after(dial_ns_max, [attempt] {
        attempt->is_late = true;
        ::shutdown(attempt->socket.get(), SHUT_RDWR);
    });
    loop.connect(attempt->socket.get(), attempt->address.get(), attempt->address.length, [&loop, attempt, done = std::move(done)](int result) {
        loop.cancel(attempt->deadline);
        if (attempt->is_late) return done(Error{ErrorCode::unavailable, host_of(attempt->address) + " does not answer"});
        if (result < 0) return done(errno_error(-result, "connect to " + host_of(attempt->address)));
        done(std::move(attempt->socket));
    });
}

}  // namespace holdfast::replicator
