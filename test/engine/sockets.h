// Two ends of a TCP connection on this host.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/unique_fd.h"
#include "replicator/engine/address.h"

namespace holdfast::test {

inline replicator::SocketAddress address_of(const UniqueFd& socket) {
    replicator::SocketAddress address;
    address.length = sizeof address.bytes;
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address.bytes), &address.length) == 0);
    return address;
}

// On a port that was free.
inline UniqueFd listening() {
    const auto addresses = replicator::resolve("127.0.0.1:0", true);
    REQUIRE(addresses);
    return replicator::listen_on(addresses->front()).value();
}

// Calls ADDRESS, from the address FROM of this host.
inline UniqueFd called(const replicator::SocketAddress& address, const std::string& from = "127.0.0.1") {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto source = replicator::resolve(from + ":0", false).value().front();
    REQUIRE(::bind(fd.get(), &source.get(), source.length) == 0);
    REQUIRE(::connect(fd.get(), &address.get(), address.length) == 0);
    return fd;
}

struct SocketPair {
    UniqueFd left, right;
    SocketPair() {
        const UniqueFd server = listening();
        left = called(address_of(server));
        right.reset(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
        REQUIRE(right);
    }
};

}  // namespace holdfast::test
