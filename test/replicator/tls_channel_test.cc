#include "replicator/trust/tls_channel.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "test/replicator/trust_hosts.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

TEST_CASE("tls: two hosts that know each other meet, whatever the size of the deliveries") {
    const Hosts hosts;
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{1500}, size_t{65536}}) {
        CAPTURE(piece);
        const auto client = hosts.client_end(), server = hosts.server_end();
        size_t bytes = 0;
        const Ends ends = connect(*client, *server, piece, [&](bool, size_t, Bytes& passing) { bytes += passing.size(); });
        REQUIRE(ends.client);
        REQUIRE(ends.server);
        REQUIRE(client->is_established());
        REQUIRE(server->is_established());
        CHECK(client->peer() == hosts.server.fingerprint());
        CHECK(server->peer() == hosts.client.fingerprint());
        CHECK(client->purpose() == Purpose::link);
        CHECK(server->purpose() == Purpose::link);
        CHECK(bytes < 4096);
    }
}

TEST_CASE("tls: both ends of one connection export the same secret, which no other connection and no other label has") {
    const Link link, other;
    const auto secret = link.client->exporter("EXPORTER-a").value();
    CHECK(secret == link.server->exporter("EXPORTER-a").value());
    CHECK(secret != link.client->exporter("EXPORTER-b").value());
    CHECK(secret != other.client->exporter("EXPORTER-a").value());
}

TEST_CASE("tls: data flows both ways at once, in any pieces") {
    for (const size_t piece : {size_t{1}, size_t{1000}, size_t{65536}}) {
        CAPTURE(piece);
        Link link;
        const std::string there = noise(piece == 1 ? 40'000 : 3 << 20, 1), back = noise(piece == 1 ? 30'000 : 2 << 20, 2);
        std::string at_server, at_client;
        for (size_t at = 0; at < std::max(there.size(), back.size()); at += 1 << 20) {
            const auto part = [&](const std::string& text) { return std::string_view(text).substr(std::min(at, text.size()), 1 << 20); };
            REQUIRE(link.client->write(bytes_of(part(there))));
            REQUIRE(link.server->write(bytes_of(part(back))));
            const Bytes to_server = link.client->take_output(), to_client = link.server->take_output();
            CHECK(std::search(to_server.begin(), to_server.end(), reinterpret_cast<const std::byte*>(there.data()),
                              reinterpret_cast<const std::byte*>(there.data()) + 16) == to_server.end());
            REQUIRE(feed(*link.server, to_server, &at_server, piece));
            REQUIRE(feed(*link.client, to_client, &at_client, piece));
        }
        CHECK((at_server == there));
        CHECK((at_client == back));
        CHECK(link.client->take_output().empty());
    }
}

TEST_CASE("tls: data that arrives with the end of the handshake is not lost") {
    const Hosts hosts;
    const auto client = hosts.client_end(), server = hosts.server_end();
    REQUIRE(feed(*server, client->take_output()));
    REQUIRE(feed(*client, server->take_output()));
    REQUIRE(client->is_established());
    const std::string much = noise(1 << 20, 4);
    REQUIRE(client->write(bytes_of(std::string_view(much))));
    std::string heard;
    REQUIRE(feed(*server, client->take_output(), &heard));
    CHECK((heard == much));
}

TEST_CASE("tls: a goodbye ends one direction, and what comes after it is dropped") {
    Link link;
    REQUIRE(link.client->write(bytes_of(std::string_view("last"))));
    link.client->close();
    link.client->close();  // once is said
    std::string heard;
    CHECK_FALSE(link.server->is_closed());
    REQUIRE(feed(*link.server, link.client->take_output(), &heard));
    CHECK(heard == "last");
    CHECK(link.server->is_closed());
    const std::string junk(60'000, 'x');
    for (int i = 0; i < 5; ++i) CHECK(link.server->receive(bytes_of(std::string_view(junk))));
    REQUIRE(link.server->write(bytes_of(std::string_view("answer"))));
    heard.clear();
    REQUIRE(feed(*link.client, link.server->take_output(), &heard));
    CHECK(heard == "answer");
}

TEST_CASE("tls: a stranger's key is refused by the end that does not know it, with its fingerprint, and the other end is told") {
    const Hosts hosts;
    SECTION("the server does not know the client, who learns it after its own handshake") {
        const auto client = hosts.client_end(), server = TlsChannel::server(hosts.server, {}, nobody).value();
        const Ends ends = connect(*client, *server);
        REQUIRE_FALSE(ends.server);
        CHECK(ends.server.error().code == ErrorCode::permission);
        CHECK_THAT(ends.server.error().message, Catch::Contains(to_string(hosts.client.fingerprint())));
        CHECK_FALSE(server->is_established());
        CHECK(client->is_established());
        REQUIRE_FALSE(ends.client);
        CHECK(ends.client.error().code == ErrorCode::permission);
        std::byte room[10];
        CHECK_FALSE(client->read(room));
        CHECK_FALSE(server->read(room));
        CHECK_FALSE(server->receive(room));
    }
    SECTION("the client does not know the server") {
        const auto client = TlsChannel::client(hosts.client, Purpose::link, nobody).value(), server = hosts.server_end();
        const Ends ends = connect(*client, *server);
        REQUIRE_FALSE(ends.client);
        CHECK(ends.client.error().code == ErrorCode::permission);
        CHECK_THAT(ends.client.error().message, Catch::Contains(to_string(hosts.server.fingerprint())));
        CHECK_FALSE(client->is_established());
        CHECK_FALSE(server->is_established());
        CHECK(ends.server.error().code == ErrorCode::permission);
    }
    SECTION("a judge that throws or is not there admits nobody") {
        for (const TlsChannel::Admit& judge : {TlsChannel::Admit{}, TlsChannel::Admit([](const Fingerprint&) -> bool { throw 1; })}) {
            const auto client = hosts.client_end(), server = TlsChannel::server(hosts.server, {}, judge).value();
            CHECK_FALSE(connect(*client, *server).server);
            CHECK_FALSE(server->is_established());
        }
    }
}

TEST_CASE("tls: pairing is for anyone, but only where it is offered, and never becomes a link") {
    const Hosts hosts;
    for (const bool is_offered : {false, true})
        for (const Purpose purpose : {Purpose::link, Purpose::pairing}) {
            CAPTURE(is_offered, static_cast<int>(purpose));
            const auto client = TlsChannel::client(hosts.client, purpose, nobody).value();
            const auto server = TlsChannel::server(hosts.server, {is_offered}, nobody).value();
            const Ends ends = connect(*client, *server);
            const bool is_pairing = is_offered && purpose == Purpose::pairing;
            CHECK(server->is_established() == is_pairing);
            CHECK(client->is_established() == is_pairing);
            if (is_pairing) {
                CHECK(server->purpose() == Purpose::pairing);
                CHECK(client->purpose() == Purpose::pairing);
                CHECK(server->peer() == hosts.client.fingerprint());
            } else if (purpose == Purpose::pairing) {
                CHECK(ends.client.error().code == ErrorCode::unsupported);
            }
        }
    // Control is for those whom links are for.
    for (const bool is_known : {false, true}) {
        const auto client = hosts.client_end(Purpose::control), server = TlsChannel::server(hosts.server, {is_known}, is_known ? only(hosts.client.fingerprint()) : nobody).value();
        const Ends ends = connect(*client, *server);
        CHECK(server->is_established() == is_known);
        if (!is_known) {
            CHECK(ends.server.error().code == ErrorCode::permission);
            continue;
        }
        CHECK(server->purpose() == Purpose::control);
        CHECK(client->purpose() == Purpose::control);
    }
    // A server that offers pairing serves links beside it.
    const auto client = hosts.client_end(), server = hosts.server_end({true});
    REQUIRE(connect(*client, *server).server);
    CHECK(server->purpose() == Purpose::link);
}
