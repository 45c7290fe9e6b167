#include "replicator/engine/guest.h"

#include <poll.h>

#include <catch2/catch.hpp>
#include <deque>
#include <optional>

#include "replicator/protocol/feed.h"
#include "test/engine/loop_thread.h"
#include "test/engine/sockets.h"
#include "test/replicator/trust_hosts.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr auto a_moment = std::chrono::milliseconds(50);
constexpr uint64_t term = 7;

bool was_closed(const UniqueFd& socket, int wait_ms) {
    pollfd entry{socket.get(), POLLIN, 0};
    char byte;
    return ::poll(&entry, 1, wait_ms) == 1 && ::recv(socket.get(), &byte, 1, MSG_DONTWAIT) <= 0;
}

Message a_hello() {
    Hello hello;
    hello.volume.bytes[0] = 1;
    hello.segment_bytes = 1 << 20;
    return hello;
}
std::vector<std::byte> framed(const Message& message) {
    return encode_frame(message, {term, 1, 0});
}

// A host that is called, and callers that it knows.
struct Bench {
    ScratchDirectory scratch;
    Hosts hosts;
    SocketAddress address;
    // What the guests led to.
    Status answer = ok();
    std::vector<std::string> greeted, joined;
    std::vector<std::shared_ptr<Connection>> kept;
    FrameReader rest;
    int pairings = 0, controls = 0;
    bool is_pairing = false;
    // The caller's side.
    std::string heard;
    std::vector<Error> closed;
    std::shared_ptr<Connection> caller;

    LoopThread thread;
    std::optional<Host> host;
    std::optional<Guests> guests;

    explicit Bench(uint64_t guest_ns = guest_ns_max) {
        UniqueFd socket = listening();
        address = address_of(socket);
        Peers peers = Peers::load(scratch / "peers.json").value();
        REQUIRE(peers.add({"alpha", {hosts.client.fingerprint()}, ""}));
        thread.on_loop([&] {
            host.emplace(Host{thread.loop(), system_clock(), "beta", hosts.server, std::move(peers)});
            guests.emplace(*host,
                           Guests::Callbacks{[this](const Peer& peer, std::shared_ptr<Connection> connection, Received&, FrameReader& frames) {
                                                 greeted.push_back(peer.name);
                                                 if (answer) kept.push_back(std::move(connection)), rest = std::move(frames);
                                                 return answer;
                                             },
                                             [this](const Peer& peer, std::shared_ptr<Connection> connection, const Join& join, FrameReader&) {
                                                 joined.push_back(peer.name + " " + std::to_string(join.number));
                                                 if (answer) kept.push_back(std::move(connection));
                                                 return answer;
                                             },
                                             [this] { return is_pairing; },
                                             [this](std::shared_ptr<Connection> connection) { ++pairings, kept.push_back(std::move(connection)); },
                                             [this](std::shared_ptr<Connection> connection) { ++controls, kept.push_back(std::move(connection)); }},
                           guest_ns);
            guests->welcome(std::move(socket));
        });
    }
    ~Bench() {
        thread.on_loop([&] { guests.reset(); });
    }

    uint64_t refused() {
        return thread.on_loop([&] { return guests->refused(); });
    }
    // A caller who greets with TLS and then says FIRST.
    void call(const Identity& identity, std::vector<std::byte> first, Purpose purpose = Purpose::link) {
        auto channel = TlsChannel::client(identity, purpose, only(hosts.server.fingerprint())).value();
        thread.on_loop([&] {
            caller = Connection::start(thread.loop(), called(address), std::move(channel),
                                       {[this, first = std::move(first)] {
                                            if (!first.empty()) caller->send(first);
                                        },
                                        [this](ByteSpan bytes) { heard.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); },
                                        [this](const Error& why) { closed.push_back(why); }});
        });
    }
    bool is_closed() {
        return thread.comes_true([&] { return !closed.empty(); });
    }
    // What the caller was told, as messages.
    std::vector<Message> told() {
        FrameReader frames;
        std::vector<Message> messages;
        frames.append(bytes_of(heard));
        while (auto next = frames.next().value()) messages.push_back(std::move(next->message));
        return messages;
    }
};

}  // namespace

TEST_CASE("guests: a peer that greets is handed on, with what else it said, and is no guest any more") {
    Bench bench(300'000'000);
    std::vector<std::byte> said = framed(a_hello());
    const auto beat = framed(Heartbeat{5});
    said.insert(said.end(), beat.begin(), beat.end());
    bench.call(bench.hosts.client, said);
    REQUIRE(bench.thread.comes_true([&] { return !bench.greeted.empty(); }));
    CHECK(bench.greeted == std::vector<std::string>{"alpha"});
    const auto more = bench.thread.on_loop([&] { return bench.rest.next().value(); });
    REQUIRE(more);
    CHECK(more->message == Message(Heartbeat{5}));
    // The time that a guest has does not run for who is none any more.
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.closed.empty(); }, std::chrono::milliseconds(400)));
    CHECK(bench.refused() == 0);
}

TEST_CASE("guests: a greeting that comes in pieces is one") {
    Bench bench;
    const auto said = framed(a_hello());
    bench.call(bench.hosts.client, {said.begin(), said.begin() + 1});
    for (size_t at = 1; at < said.size(); ++at) {
        CHECK(bench.greeted.empty());
        bench.thread.comes_true([&] { return bench.caller->channel().is_established(); });
        bench.thread.on_loop([&] { bench.caller->send(ByteSpan(said).subspan(at, 1)); });
    }
    CHECK(bench.thread.comes_true([&] { return bench.greeted.size() == 1; }));
}

TEST_CASE("guests: who has no place here is told so") {
    Bench bench;
    bench.answer = Error{ErrorCode::permission, "this host keeps no replica of that"};
    bench.call(bench.hosts.client, framed(a_hello()));
    REQUIRE(bench.is_closed());
    REQUIRE(bench.told().size() == 1);
    CHECK(bench.told()[0] == Message(Goodbye{Reason::refused, "this host keeps no replica of that"}));
    CHECK(bench.thread.comes_true([&] { return bench.guests->refused() == 1; }));
}

TEST_CASE("guests: a connection that joins a session is handed on; where there is none it ends without a word") {
    Bench bench;
    const bool is_there = GENERATE(true, false);
    if (!is_there) bench.answer = Error{ErrorCode::busy, "there is no such session"};
    bench.call(bench.hosts.client, framed(Join{{1, 2}, 3}));
    REQUIRE(bench.thread.comes_true([&] { return !bench.joined.empty(); }));
    CHECK(bench.joined == std::vector<std::string>{"alpha 3"});
    CHECK(bench.greeted.empty());
    if (is_there) return;
    REQUIRE(bench.is_closed());
    CHECK(bench.told().empty());
}

TEST_CASE("guests: a first message that is no greeting ends the connection") {
    Bench bench;
    SECTION("another message") { bench.call(bench.hosts.client, framed(Heartbeat{1})); }
    SECTION("no message") { bench.call(bench.hosts.client, std::vector<std::byte>(200, std::byte{'x'})); }
    // One byte more than a reader has room for at first, and then much more: nobody waits for room that does not come.
    SECTION("a message that is larger than a greeting") {
        bench.call(bench.hosts.client, framed(Records{1, 2, std::vector<std::byte>((64 << 10) + 1, std::byte{1})}));
    }
    SECTION("the largest message, and more behind it") {
        auto said = framed(Records{1, 2, std::vector<std::byte>(HF_FRAME_PLAIN_BYTES_MAX - 16, std::byte{1})});
        said.resize(said.size() + (1 << 20));
        bench.call(bench.hosts.client, said);
    }
    REQUIRE(bench.is_closed());
    CHECK(bench.greeted.empty());
    CHECK(bench.heard.empty());
    CHECK(bench.thread.comes_true([&] { return bench.guests->refused() == 1; }));
}

TEST_CASE("guests: a stranger is refused before it is heard") {
    Bench bench;
    const Identity stranger = Identity::make().value();
    bench.call(stranger, framed(a_hello()));
    REQUIRE(bench.is_closed());
    CHECK(bench.greeted.empty());
    CHECK(bench.thread.comes_true([&] { return bench.guests->refused() == 1; }));
}

TEST_CASE("guests: strangers are told of once, however many come") {
    Bench bench;
    const Identity stranger = Identity::make().value();
    for (uint64_t i = 1; i <= 3; ++i) {
        bench.call(stranger, framed(a_hello()));
        REQUIRE(bench.thread.comes_true([&] { return bench.guests->refused() == i; }));
    }
    const Json events = bench.thread.on_loop([&] { return bench.host->events->after(0)["events"]; });
    REQUIRE(events.size() == 1);
    CHECK(events[0]["code"] == "HF-E-304");
    CHECK(events[0]["peer"] == "127.0.0.1");
}

TEST_CASE("guests: a stranger may come in to be paired while a code is offered, and only then") {
    Bench bench;
    const Identity stranger = Identity::make().value();
    SECTION("offered") {
        bench.is_pairing = true;
        bench.call(stranger, {}, Purpose::pairing);
        CHECK(bench.thread.comes_true([&] { return bench.pairings == 1; }));
        CHECK(bench.refused() == 0);
    }
    SECTION("not offered") {
        bench.call(stranger, {}, Purpose::pairing);
        REQUIRE(bench.is_closed());
        CHECK(bench.pairings == 0);
    }
    CHECK(bench.greeted.empty());
}

TEST_CASE("guests: one that does not greet in its time is closed") {
    Bench bench(100'000'000);
    SECTION("known, and silent") {
        bench.call(bench.hosts.client, {});
        CHECK(bench.is_closed());
    }
    SECTION("not even TLS") {
        const UniqueFd silent = called(bench.address);
        CHECK(was_closed(silent, 10'000));
    }
    CHECK(bench.thread.comes_true([&] { return bench.guests->refused() == 1; }));
}

TEST_CASE("guests: one address may have so many at once, and one that leaves makes room") {
    Bench bench;
    std::deque<UniqueFd> callers;
    for (size_t i = 0; i < guests_per_host_max; ++i) callers.push_back(called(bench.address));
    CHECK(was_closed(called(bench.address), 10'000));
    CHECK(bench.refused() == 1);
    CHECK_FALSE(was_closed(callers.front(), 20));
    const UniqueFd other = called(bench.address, "127.0.0.2");
    CHECK_FALSE(was_closed(other, 20));

    callers.pop_front();
    REQUIRE(bench.thread.comes_true([&] { return bench.guests->refused() == 2; }));
    const UniqueFd next = called(bench.address);
    CHECK_FALSE(was_closed(next, 20));
    CHECK(bench.refused() == 2);
}

TEST_CASE("guests: so many may be there at once and not one more, wherever it comes from") {
    Bench bench;
    std::deque<UniqueFd> callers;
    for (size_t i = 0; i < guests_max; ++i) callers.push_back(called(bench.address, "127.0.0." + std::to_string(2 + i / guests_per_host_max)));
    CHECK(was_closed(called(bench.address, "127.0.0.99"), 10'000));
    CHECK(bench.refused() == 1);
    for (const UniqueFd& caller : callers) CHECK_FALSE(was_closed(caller, 0));
}

TEST_CASE("guests: those that are there are closed when the host does not receive any more, and nothing is called afterwards") {
    Bench bench;
    const UniqueFd silent = called(bench.address);
    bench.call(bench.hosts.client, {});
    REQUIRE(bench.thread.comes_true([&] { return bench.caller->channel().is_established(); }));
    bench.thread.on_loop([&] { bench.guests.reset(); });
    CHECK(bench.is_closed());
    CHECK(was_closed(silent, 10'000));
    CHECK(bench.thread.comes_true([&] { return true; }, a_moment));
}
