#include "replicator/engine/address.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "test/engine/sockets.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

uint16_t port_of(const SocketAddress& address) {
    return ntohs(address.get().sa_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address.bytes).sin6_port
                                                     : reinterpret_cast<const sockaddr_in&>(address.bytes).sin_port);
}

}  // namespace

TEST_CASE("address: host, host and port, and an IPv6 address in brackets are understood") {
    struct { const char* text; const char* host; uint16_t port; } const table[] = {
        {"127.0.0.1", "127.0.0.1", default_port}, {"127.0.0.1:1", "127.0.0.1", 1},  {"127.0.0.1:65535", "127.0.0.1", 65535},
        {"[::1]", "::1", default_port},           {"[::1]:1", "::1", 1},            {"[127.0.0.1]:7", "127.0.0.1", 7},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto addresses = resolve(row.text, false);
        REQUIRE(addresses);
        REQUIRE(addresses->size() == 1);
        CHECK(host_of(addresses->front()) == row.host);
        CHECK(port_of(addresses->front()) == row.port);
    }
    const auto local = resolve("localhost:80", false);
    REQUIRE(local);
    CHECK(local->size() >= 1);
}

TEST_CASE("address: what is none is refused with what one looks like") {
    for (const char* bad : {"", ":", ":1", "host:", "host:x", "host:1x", "host:-1", "host: 1", "::1", "::1:80", "a:b:1", "[", "[]", "[]:1", "[::1", "[::1]1",
                            "[::1]x:1", "[::1]:", "127.0.0.1:65536", "127.0.0.1:99999999999999999999"}) {
        CAPTURE(bad);
        const auto addresses = resolve(bad, false);
        REQUIRE_FALSE(addresses);
        CHECK(addresses.error().code == ErrorCode::invalid_argument);
        CHECK_THAT(addresses.error().message, Catch::Contains("host:port"));
    }
}

TEST_CASE("address: a name that leads nowhere is told apart from what is no address") {
    const auto addresses = resolve("no-such-host.invalid:1", false);
    REQUIRE_FALSE(addresses);
    CHECK(addresses.error().code == ErrorCode::not_found);
    CHECK_THAT(addresses.error().message, Catch::Contains("no-such-host.invalid"));
}

TEST_CASE("address: a socket listens where it was told, and an address that is taken is named") {
    const UniqueFd server = listening();
    const SocketAddress address = address_of(server);
    CHECK(called(address));
    const auto second = listen_on(address);
    REQUIRE_FALSE(second);
    CHECK(second.error().sys_errno == EADDRINUSE);
    CHECK_THAT(second.error().message, Catch::Contains("127.0.0.1"));
}
