#include "replicator/engine/connection.h"

#include <fcntl.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "test/engine/loop_thread.h"
#include "test/engine/sockets.h"
#include "test/replicator/trust_hosts.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr auto a_moment = std::chrono::milliseconds(50);

// One end, and all that its events said.
struct End {
    std::shared_ptr<Connection> connection;
    int established = 0;
    std::string heard;
    std::vector<Error> closed;
    bool is_in_call = false, was_closed_in_call = false;
    std::function<void(ByteSpan)> also;

    Connection::Events events() {
        return {[this] { ++established; },
                [this](ByteSpan bytes) {
                    heard.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                    if (also) also(bytes);
                },
                [this](const Error& why) {
                    was_closed_in_call = was_closed_in_call || is_in_call;
                    closed.push_back(why);
                }};
    }
    void send(std::string_view text) { connection->send(bytes_of(text)); }
    void close(const std::string& why) {
        is_in_call = true;
        connection->close({ErrorCode::unavailable, why});
        is_in_call = false;
    }
    std::string why() const { return closed.size() == 1 ? closed[0].message : std::to_string(closed.size()) + " times closed"; }
};

struct Bench {
    Hosts hosts;
    SocketPair sockets;
    End client, server;
    LoopThread thread;

    void start(std::unique_ptr<TlsChannel> client_channel, std::unique_ptr<TlsChannel> server_channel) {
        thread.on_loop([&] {
            client.connection = Connection::start(thread.loop(), std::move(sockets.left), std::move(client_channel), client.events());
            server.connection = Connection::start(thread.loop(), std::move(sockets.right), std::move(server_channel), server.events());
        });
    }
    void establish() {
        start(hosts.client_end(), hosts.server_end());
        REQUIRE(thread.comes_true([&] { return client.established == 1 && server.established == 1; }));
    }
    template <typename Predicate>
    bool comes_true(Predicate is_so) { return thread.comes_true(is_so); }
    bool both_closed() { return comes_true([&] { return !client.closed.empty() && !server.closed.empty(); }); }
    // Nothing is called a second time afterwards.
    void check_closed_once() {
        CHECK_FALSE(thread.comes_true([&] { return client.closed.size() > 1 || server.closed.size() > 1; }, a_moment));
        CHECK_FALSE(client.was_closed_in_call);
        CHECK_FALSE(server.was_closed_in_call);
    }
};

}  // namespace

TEST_CASE("connection: bytes go both ways at once, few and many") {
    for (const size_t bytes : {size_t{1}, size_t{3} << 20}) {
        CAPTURE(bytes);
        const std::string there = noise(bytes, 1), back = noise(bytes, 2);
        Bench bench;
        bench.establish();
        bench.thread.on_loop([&] {
            bench.client.send(there);
            bench.server.send(back);
        });
        REQUIRE(bench.comes_true([&] { return bench.client.heard.size() >= bytes && bench.server.heard.size() >= bytes; }));
        CHECK((bench.server.heard == there));
        CHECK((bench.client.heard == back));
        CHECK(bench.client.closed.empty());
        CHECK(bench.thread.on_loop([&] { return bench.client.connection->channel().peer(); }) == bench.hosts.server.fingerprint());
    }
}

TEST_CASE("connection: what is sent in many pieces arrives in order") {
    std::string all;
    Bench bench;
    bench.establish();
    bench.thread.on_loop([&] {
        for (uint32_t i = 0; i < 500; ++i) {
            const std::string piece = noise(i * 7 % 4000 + 1, i);
            bench.client.send(piece);
            all += piece;
        }
    });
    REQUIRE(bench.comes_true([&] { return bench.server.heard.size() >= all.size(); }));
    CHECK((bench.server.heard == all));
}

TEST_CASE("connection: nothing is handed over while it is paused, and everything in order after that") {
    const std::string much = noise(3 << 20, 1);
    Bench bench;
    bench.establish();
    bench.thread.on_loop([&] {
        bench.server.connection->pause();
        bench.client.send(much);
    });
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.server.heard.empty(); }, a_moment));
    bench.thread.on_loop([&] {
        bench.server.connection->resume();
        CHECK(bench.server.heard.empty());  // not from within
    });
    REQUIRE(bench.comes_true([&] { return bench.server.heard.size() >= much.size(); }));
    CHECK((bench.server.heard == much));
}

TEST_CASE("connection: one that pauses in each delivery, and is resumed and paused at random, loses nothing") {
    const std::string much = noise(3 << 20, 1);
    std::mt19937 random(7);
    bool is_paused = false, was_called_paused = false;
    Bench bench;
    bench.establish();
    const auto resume = [&] {
        is_paused = false;
        bench.server.connection->resume();
        // At times it is paused again before what waits was delivered, or resumed twice.
        if (random() % 4 == 0) bench.server.connection->pause(), bench.server.connection->resume();
        if (random() % 4 == 0) bench.server.connection->resume();
    };
    bench.server.also = [&](ByteSpan) {
        was_called_paused = was_called_paused || is_paused;
        is_paused = true;
        bench.server.connection->pause();
        if (random() % 2) bench.thread.loop().post(resume);
        else bench.thread.loop().after(random() % 1'000'000, resume);
    };
    bench.thread.on_loop([&] { bench.client.send(much); });
    REQUIRE(bench.comes_true([&] { return bench.server.heard.size() >= much.size(); }));
    CHECK((bench.server.heard == much));
    CHECK_FALSE(was_called_paused);
}

TEST_CASE("connection: the end of the stream waits while it is paused") {
    Bench bench;
    bench.establish();
    bench.thread.on_loop([&] {
        bench.server.connection->pause();
        bench.client.send("last words");
        bench.client.close("bye");
    });
    REQUIRE(bench.comes_true([&] { return !bench.client.closed.empty(); }));
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.server.closed.empty(); }, a_moment));
    bench.thread.on_loop([&] { bench.server.connection->resume(); });
    REQUIRE(bench.both_closed());
    CHECK(bench.server.heard == "last words");
    bench.check_closed_once();
}

TEST_CASE("connection: closing lets what was sent arrive, and tells each end why, once") {
    const std::string much = noise(3 << 20, 1);
    Bench bench;
    bench.establish();
    bench.thread.on_loop([&] {
        bench.client.send(much);
        bench.client.close("enough");
        bench.client.close("enough again");
        bench.client.send("never");
    });
    REQUIRE(bench.both_closed());
    CHECK((bench.server.heard == much));
    CHECK(bench.client.why() == "enough");
    CHECK(bench.server.why() == "the peer closed the connection");
    bench.check_closed_once();
}

TEST_CASE("connection: closing lets what was sent arrive, also when the other end has sent what nobody took and is slow to read") {
    const std::string much = noise(400 << 10, 1), back = noise(1 << 20, 2);
    Bench bench;
    bench.establish();
    bench.thread.on_loop([&] {
        bench.client.connection->pause();
        bench.server.connection->pause();
        bench.server.send(back);
        bench.client.send(much);
        bench.client.close("enough");
    });
    (void)bench.thread.comes_true([&] { return !bench.client.closed.empty(); }, std::chrono::milliseconds(200));
    bench.thread.on_loop([&] { bench.server.connection->resume(); });
    REQUIRE(bench.both_closed());
    CHECK(bench.server.heard.size() == much.size());
    CHECK((bench.server.heard == much));
    CHECK(bench.client.why() == "enough");
    CHECK(bench.server.why() == "the peer closed the connection");
    bench.check_closed_once();
}

TEST_CASE("connection: a peer that takes nothing is not waited for longer than it may take") {
    Bench bench;
    bench.establish();
    uint64_t begun = 0;
    bench.thread.on_loop([&] {
        begun = bench.thread.loop().now_ns();
        bench.server.connection->pause();
        bench.client.send(noise(16 << 20, 1));
        bench.client.close("enough");
    });
    REQUIRE(bench.comes_true([&] { return !bench.client.closed.empty(); }));
    CHECK(bench.thread.loop().now_ns() - begun >= linger_ns_max);
    CHECK(bench.client.why() == "enough");
    bench.thread.on_loop([&] { bench.server.connection->resume(); });
    REQUIRE(bench.both_closed());
    bench.check_closed_once();
}

TEST_CASE("connection: one that is closed within its own events ends in order") {
    Bench bench;
    bench.server.also = [&](ByteSpan) {
        bench.server.send("no");
        bench.server.close("refused");
    };
    bench.establish();
    bench.thread.on_loop([&] { bench.client.send("please"); });
    REQUIRE(bench.both_closed());
    CHECK(bench.client.heard == "no");
    CHECK(bench.server.heard == "please");
    CHECK(bench.server.why() == "refused");
    bench.check_closed_once();
}

TEST_CASE("connection: events may be replaced while one of them is being called") {
    std::string taken;
    End next;
    Bench bench;
    bench.server.also = [&](ByteSpan) { bench.server.connection->set_events(next.events()); };
    bench.establish();
    bench.thread.on_loop([&] { bench.client.send("one"); });
    REQUIRE(bench.comes_true([&] { return bench.server.heard == "one"; }));
    bench.thread.on_loop([&] {
        bench.client.send("two");
        bench.client.close("bye");
    });
    REQUIRE(bench.comes_true([&] { return !next.closed.empty(); }));
    CHECK(next.heard == "two");
    CHECK(bench.server.closed.empty());
}

TEST_CASE("connection: a peer that vanishes is an end of the connection, told once") {
    Bench bench;
    SECTION("in the middle of the data") {
        const UniqueFd cut(::fcntl(bench.sockets.right.get(), F_DUPFD_CLOEXEC, 0));
        bench.establish();
        bench.thread.on_loop([&] { bench.client.send("x"); });
        ::shutdown(cut.get(), SHUT_RDWR);
    }
    SECTION("before the handshake") {
        bench.thread.on_loop([&] {
            bench.client.connection = Connection::start(bench.thread.loop(), std::move(bench.sockets.left), bench.hosts.client_end(), bench.client.events());
        });
        bench.sockets.right.reset();
        bench.server.closed.push_back({ErrorCode::unavailable, ""});  // it never was one
    }
    REQUIRE(bench.both_closed());
    CHECK(bench.client.closed[0].code != ErrorCode::permission);
    bench.check_closed_once();
}

TEST_CASE("connection: what is not TLS ends it") {
    Bench bench;
    bench.thread.on_loop([&] {
        bench.server.connection = Connection::start(bench.thread.loop(), std::move(bench.sockets.right), bench.hosts.server_end(), bench.server.events());
    });
    REQUIRE(::send(bench.sockets.left.get(), "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL) == 18);
    REQUIRE(bench.comes_true([&] { return !bench.server.closed.empty(); }));
    CHECK(bench.server.closed[0].code == ErrorCode::foreign);
    CHECK(bench.server.established == 0);
    bench.check_closed_once();
}

TEST_CASE("connection: a handshake that does not end is ended") {
    Bench bench;
    bench.thread.on_loop([&] {
        bench.server.connection =
            Connection::start(bench.thread.loop(), std::move(bench.sockets.right), bench.hosts.server_end(), bench.server.events(), 20'000'000);
    });
    REQUIRE(bench.comes_true([&] { return !bench.server.closed.empty(); }));
    CHECK_THAT(bench.server.why(), Catch::Contains("did not finish the TLS handshake in time"));
    bench.check_closed_once();
}

TEST_CASE("connection: the handshake's limit is none of the connection that follows it") {
    Bench bench;
    bench.thread.on_loop([&] {
        bench.client.connection = Connection::start(bench.thread.loop(), std::move(bench.sockets.left), bench.hosts.client_end(), bench.client.events());
        bench.server.connection =
            Connection::start(bench.thread.loop(), std::move(bench.sockets.right), bench.hosts.server_end(), bench.server.events(), 300'000'000);
    });
    REQUIRE(bench.comes_true([&] { return bench.server.established == 1; }));
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.server.closed.empty(); }, std::chrono::milliseconds(400)));
}

TEST_CASE("connection: a key that is not known is refused, and both ends are told") {
    Bench bench;
    SECTION("by the server") { bench.start(bench.hosts.client_end(), TlsChannel::server(bench.hosts.server, {}, nobody).value()); }
    SECTION("by the client") { bench.start(TlsChannel::client(bench.hosts.client, Purpose::link, nobody).value(), bench.hosts.server_end()); }
    REQUIRE(bench.both_closed());
    CAPTURE(bench.client.why(), bench.server.why());
    CHECK(bench.client.closed[0].code == ErrorCode::permission);
    CHECK(bench.server.closed[0].code == ErrorCode::permission);
    CHECK(bench.server.established == 0);
    CHECK(bench.client.heard.empty());
    CHECK(bench.server.heard.empty());
    bench.check_closed_once();
}
