#include "replicator/trust/pairing.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "replicator/trust/tls_channel.h"
#include "test/replicator/trust_raw_peer.h"

using namespace holdfast;
using namespace holdfast::replicator;
using holdfast::test::Bytes;

namespace {

constexpr auto client_role = PairingSide::Role::client;
constexpr auto server_role = PairingSide::Role::server;

PairingCode code(const char* typed) {
    return PairingCode::parse(typed).value();
}

PairingBinding binding(uint8_t client = 1, uint8_t server = 2, uint8_t exporter = 3) {
    PairingBinding binding;
    binding.client.bytes[0] = client;
    binding.server.bytes[0] = server;
    binding.exporter[0] = exporter;
    return binding;
}

PairingSide client_side(const char* typed = "7KQ-2MX-9TD", const PairingBinding& bound = binding()) {
    return PairingSide::make(client_role, code(typed), bound).value();
}
PairingSide server_side(const char* typed = "7KQ-2MX-9TD", const PairingBinding& bound = binding()) {
    return PairingSide::make(server_role, code(typed), bound).value();
}

// Both fail, the server although the client goes on as if nothing had happened.
void check_both_fail(PairingSide& client, PairingSide& server) {
    const auto reply = server.on_message(client.start());
    REQUIRE(reply);
    const auto last = client.on_message(*reply);
    REQUIRE_FALSE(last);
    CHECK(last.error().code == ErrorCode::permission);
    CHECK_FALSE(client.is_done());
    CHECK(client.awaited_bytes() == 0);
    const Bytes guess(server.awaited_bytes(), std::byte{1});
    const auto end = server.on_message(guess);
    REQUIRE_FALSE(end);
    CHECK(end.error().code == ErrorCode::permission);
    CHECK_FALSE(server.is_done());
    CHECK_FALSE(server.on_message(guess));
}

// Two ends of a TLS channel for pairing.
struct Channel {
    std::unique_ptr<TlsChannel> client, server;
    Channel(const Identity& from, const Identity& to)
        : client(TlsChannel::client(from, Purpose::pairing, {}).value()), server(TlsChannel::server(to, {true}, {}).value()) {
        REQUIRE(test::connect(*client, *server).server);
    }
};

}  // namespace

TEST_CASE("pairing: the right code proves each side to the other in three messages of fixed sizes") {
    PairingSide client = client_side("7KQ-2MX-9TD"), server = server_side("7kq 2mx 9td");
    CHECK(server.start().empty());
    CHECK(server.awaited_bytes() == 65);
    const Bytes first = client.start();
    CHECK(first.size() == 65);
    CHECK(client.awaited_bytes() == 97);
    const Bytes second = server.on_message(first).value();
    CHECK(second.size() == 97);
    CHECK(server.awaited_bytes() == 32);
    CHECK_FALSE(server.is_done());
    const Bytes third = client.on_message(second).value();
    CHECK(third.size() == 32);
    CHECK(client.is_done());
    CHECK(server.on_message(third).value().empty());
    CHECK(server.is_done());
    CHECK(client.awaited_bytes() + server.awaited_bytes() == 0);
    CHECK_FALSE(server.on_message(third));  // nothing is awaited any more
}

TEST_CASE("pairing: another code, key or connection fails on both sides") {
    const auto fails = [](PairingSide client, PairingSide server) { check_both_fail(client, server); };
    fails(client_side("7KQ-2MX-9TE"), server_side());
    fails(client_side("7KQ-2MX-9TD", binding(9, 2, 3)), server_side());
    fails(client_side("7KQ-2MX-9TD", binding(1, 9, 3)), server_side());
    fails(client_side("7KQ-2MX-9TD", binding(1, 2, 9)), server_side());
    fails(client_side("7KQ-2MX-9TD", binding(2, 1, 3)), server_side());
}

TEST_CASE("pairing: what is no proof is refused: sizes, points, order, repetition") {
    const Bytes first = client_side().start();
    for (const size_t size : {size_t{0}, size_t{1}, size_t{64}, size_t{66}, size_t{97}}) {
        PairingSide server = server_side();
        CHECK(server.on_message(Bytes(size, std::byte{4})).error().code == ErrorCode::foreign);
        CHECK_FALSE(server.on_message(first));  // it is over
    }
    for (const size_t at : {size_t{0}, size_t{1}, size_t{64}}) {
        PairingSide server = server_side();
        Bytes damaged = first;
        damaged[at] ^= std::byte{1};
        CHECK(server.on_message(damaged).error().code == ErrorCode::foreign);
    }
    PairingSide zeroes = server_side();
    CHECK(zeroes.on_message(Bytes(65)).error().code == ErrorCode::foreign);

    // A message said back to the one who said it, and one of an earlier attempt with the same code.
    PairingSide client = client_side();
    Bytes reflected = client.start();
    reflected.resize(97);
    CHECK_FALSE(client.on_message(reflected));

    PairingSide client_before = client_side(), server_before = server_side();
    const Bytes first_before = client_before.start(), second_before = server_before.on_message(first_before).value();
    const Bytes third_before = client_before.on_message(second_before).value();
    PairingSide client_now = client_side(), server_now = server_side();
    (void)client_now.start();
    CHECK(client_now.on_message(second_before).error().code == ErrorCode::permission);
    REQUIRE(server_now.on_message(first_before));
    CHECK(server_now.on_message(third_before).error().code == ErrorCode::permission);

    // A proof of which one bit is wrong, in either direction.
    PairingSide a = client_side(), b = server_side();
    Bytes second = b.on_message(a.start()).value(), wrong_second = second;
    wrong_second.back() ^= std::byte{1};
    PairingSide a_again = a;
    CHECK(a_again.on_message(wrong_second).error().code == ErrorCode::permission);
    Bytes third = a.on_message(second).value();
    third.front() ^= std::byte{1};
    CHECK(b.on_message(third).error().code == ErrorCode::permission);
}

TEST_CASE("pairing: with a chosen secret the messages are always the same, with a random one never") {
    Spake2Scalar secret;
    secret.back() = 5;
    const auto fixed = [&] { return PairingSide::make(client_role, code("7KQ2MX9TD"), binding(), secret).value().start(); };
    CHECK(fixed() == fixed());
    CHECK(client_side().start() != client_side().start());
    CHECK(client_side().start() != fixed());
}

TEST_CASE("pairing: inside TLS, and with somebody between who ends TLS on both sides and passes every message on") {
    const Identity client_host = Identity::make().value(), server_host = Identity::make().value(), middle = Identity::make().value();
    const PairingCode shown = PairingCode::make().value(), typed = PairingCode::parse(shown.show()).value();
    const auto client_of = [&](const TlsChannel& tls) {
        return PairingSide::make(client_role, typed, {client_host.fingerprint(), tls.peer(), tls.exporter(pairing_exporter_label).value()}).value();
    };
    const auto server_of = [&](const TlsChannel& tls) {
        return PairingSide::make(server_role, shown, {tls.peer(), server_host.fingerprint(), tls.exporter(pairing_exporter_label).value()}).value();
    };
    SECTION("alone, they meet") {
        const Channel channel(client_host, server_host);
        PairingSide client = client_of(*channel.client), server = server_of(*channel.server);
        REQUIRE(server.on_message(client.on_message(server.on_message(client.start()).value()).value()));
        CHECK(client.is_done());
        CHECK(server.is_done());
    }
    SECTION("with one between, both fail") {
        const Channel near(client_host, middle), far(middle, server_host);
        PairingSide client = client_of(*near.client), server = server_of(*far.server);
        check_both_fail(client, server);
    }
    SECTION("not even one who could show the same keys can carry a proof from one connection to another") {
        const Channel one(client_host, server_host), other(client_host, server_host);
        PairingSide client = client_of(*one.client), server = server_of(*other.server);
        check_both_fail(client, server);
    }
}

TEST_CASE("pairing: a code is easy to say and to type, and is never the same") {
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i) {
        const PairingCode made = PairingCode::make().value();
        const std::string text = made.show();
        REQUIRE(text.size() == 11);
        CHECK(text.find_first_of("ILOU") == std::string::npos);
        CHECK(seen.insert(text).second);
        CHECK(PairingCode::parse(text)->letters() == made.letters());
    }
    for (const char* typed : {"10q2mx9td", "IOQ-2MX-9TD", " loq 2mx\t9td\n", "1-0-Q-2-M-X-9-T-D"}) CHECK(code(typed).show() == "10Q-2MX-9TD");
    for (const char* wrong : {"", "---", "7KQ-2MX-9T", "7KQ-2MX-9TDA", "7KQ-2MX-9TU", "7KQ-2MX-9T\xc3\x84", "7KQ_2MX_9TD", "7KQ-2MX-9T."})
        CHECK_FALSE(PairingCode::parse(wrong));
}

TEST_CASE("pairing: a code can be tried three times, and an attempt that is broken off was one") {
    PairingOffer offer(PairingCode::make().value(), 1000);
    for (int left = pairing_guesses_max; left > 0; --left) {
        CHECK(offer.guesses_left() == left);
        CHECK(offer.is_open(2000));
        REQUIRE(offer.begin(2000));
    }
    CHECK_FALSE(offer.is_open(2000));
    CHECK(offer.begin(2000).error().code == ErrorCode::unavailable);
    // The third may have been the right one.
    CHECK(offer.complete(2000));
    CHECK_FALSE(offer.is_open(2000));
}

TEST_CASE("pairing: a code works once, also for two attempts at the same time") {
    PairingOffer offer(PairingCode::make().value(), 0);
    REQUIRE(offer.begin(1));
    REQUIRE(offer.begin(1));
    REQUIRE(offer.complete(2));
    CHECK(offer.complete(2).error().code == ErrorCode::unavailable);
    CHECK(offer.begin(2).error().code == ErrorCode::unavailable);
    CHECK_FALSE(offer.is_open(2));
}

TEST_CASE("pairing: a code expires, also for an attempt that began in time, and when the clock goes back") {
    PairingOffer offer(PairingCode::make().value(), 1000);
    CHECK(offer.is_open(1000));
    CHECK(offer.is_open(1000 + pairing_code_lifetime_ns - 1));
    REQUIRE(offer.begin(1000 + pairing_code_lifetime_ns - 1));
    CHECK_FALSE(offer.is_open(1000 + pairing_code_lifetime_ns));
    CHECK_FALSE(offer.complete(1000 + pairing_code_lifetime_ns));
    CHECK_FALSE(offer.begin(1000 + pairing_code_lifetime_ns));
    CHECK_FALSE(offer.begin(999));
    CHECK(offer.guesses_left() == 2);
}

TEST_CASE("pairing: an introduction has one size and says a name and an address") {
    for (const Introduction& introduction : {Introduction{"a", ""}, Introduction{std::string(peer_name_bytes_max, 'n'), std::string(253, 'h') + ":1"},
                                             Introduction{"backup", "[2001:db8::1]:7100"}}) {
        const Bytes bytes = encode_introduction(introduction);
        CHECK(bytes.size() == introduction_bytes);
        CHECK(decode_introduction(bytes).value() == introduction);
    }
    const Bytes good = encode_introduction({"backup", "host:1"});
    const auto refused = [&](size_t at, uint8_t value) {
        Bytes bad = good;
        bad[at] = std::byte{value};
        CAPTURE(at, int(value));
        const auto decoded = decode_introduction(bad);
        REQUIRE_FALSE(decoded);
        CHECK(decoded.error().code == ErrorCode::foreign);
    };
    refused(0, 0);      // no name
    refused(0, 5);      // shorter than what stands there
    refused(0, 7);      // a NUL in the name
    refused(0, 65);     // beyond its room
    refused(0, 255);
    refused(1, 5);
    refused(1, 7);
    refused(1, 255);
    refused(2, '/');
    refused(2, '.');
    refused(2 + 6, 'x');                              // after the name
    refused(2 + peer_name_bytes_max, ' ');            // in the address
    refused(2 + peer_name_bytes_max + 6, 'x');        // after it
    refused(introduction_bytes - 1, 1);
    CHECK_FALSE(decode_introduction(ByteSpan(good).first(introduction_bytes - 1)));
    Bytes longer = good;
    longer.push_back({});
    CHECK_FALSE(decode_introduction(longer));
}
