// A store service's sync socket with a test behind it, which speaks as the service would.
#pragma once

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <poll.h>
#include <string>

#include "base/unix_socket.h"
#include "rewind/sync/sync_pipe.h"

namespace holdfast::test {

class FakeStore {
public:
    explicit FakeStore(const std::string& path) : listener_(UnixListener::open(path, 4).value()) {}

    // Whoever connects next, and what it says first.
    std::pair<rewind::SyncPipe, Json> welcome() {
        pollfd ready{listener_.fd(), POLLIN, 0};
        REQUIRE(::poll(&ready, 1, 20'000) == 1);
        rewind::SyncPipe pipe(UniqueFd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)));
        const timeval patience{20, 0};
        ::setsockopt(pipe.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        const auto first = pipe.receive();
        REQUIRE(first);
        const auto request = rewind::control_of(*first);
        REQUIRE(request);
        return {std::move(pipe), *request};
    }

private:
    UnixListener listener_;
};

}  // namespace holdfast::test
