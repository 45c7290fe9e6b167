#include "replicator/engine/sync_link.h"

#include <catch2/catch.hpp>
#include <optional>

#include "test/engine/fake_store.h"
#include "test/engine/loop_thread.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr auto a_moment = std::chrono::milliseconds(50);

// An engine's link, and all that it said.
struct Bench {
    ScratchDirectory scratch;
    const std::string path = scratch / "sync.sock";
    LoopThread thread;
    std::shared_ptr<SyncLink> link;
    std::vector<Json> told;
    std::vector<std::vector<std::byte>> heard;
    std::vector<Error> failed;
    uint64_t wait_ns = 0;

    ~Bench() {
        thread.on_loop([&] { if (link) link->close(); });
        thread.end();
    }
    void open(uint64_t connect_ns = sync_connect_ns_max) {
        thread.on_loop([&] {
            link = SyncLink::open(thread.loop(), path, {{"role", "serve"}},
                                  {[this](const Json& json) { told.push_back(json); }, [this](std::vector<std::byte> bytes) { heard.push_back(std::move(bytes)); },
                                   [this] { return wait_ns; }, [this](const Error& why) { failed.push_back(why); }},
                                  connect_ns);
        });
    }
    std::string why() { return thread.on_loop([&] { return failed.size() == 1 ? failed[0].message : std::to_string(failed.size()) + " times failed"; }); }
    bool fails() { return thread.comes_true([&] { return !failed.empty(); }); }
};

std::vector<std::byte> some(size_t bytes, uint8_t with) {
    return std::vector<std::byte>(bytes, std::byte{with});
}

}  // namespace

TEST_CASE("sync link: what it says first, control messages, and bytes of both stores arrive as they were said, small and large") {
    Bench bench;
    FakeStore store(bench.path);
    bench.open();
    auto [pipe, request] = store.welcome();
    CHECK(request["role"] == "serve");
    REQUIRE(pipe.send({{"at", 5}}));
    const std::vector<std::vector<std::byte>> messages = {{}, some(1, 1), some(rewind::sync_message_bytes_max, 2), some(100, 3)};
    for (const auto& message : messages) REQUIRE(pipe.send(rewind::SyncPart::peer, message));
    CHECK(bench.thread.comes_true([&] { return bench.heard == messages && bench.told.size() == 1; }));
    for (const auto& message : messages) bench.thread.on_loop([&] { bench.link->give(message); });
    for (const auto& message : messages) {
        const auto got = pipe.receive();
        REQUIRE(got);
        CHECK(got->part == rewind::SyncPart::peer);
        CHECK(got->bytes == message);
    }
    CHECK(bench.thread.on_loop([&] { return bench.link->moved_bytes(); }) == 2 * (rewind::sync_message_bytes_max + 101));
    CHECK(bench.failed.empty());
}

TEST_CASE("sync link: a service that is being started is waited for, one that never comes is told") {
    Bench bench;
    bench.open();
    std::this_thread::sleep_for(a_moment);
    FakeStore store(bench.path);
    CHECK(store.welcome().second["role"] == "serve");
    Bench other;
    other.open(1);
    REQUIRE(other.fails());
    CHECK_THAT(other.why(), Catch::Contains("does not answer"));
    CHECK(other.failed[0].code == ErrorCode::unavailable);
}

TEST_CASE("sync link: an error that the service tells, its end, and what is no message end the link with a sentence, once") {
    const struct { std::function<void(rewind::SyncPipe&)> say; const char* sentence; } table[] = {
        {[](rewind::SyncPipe& pipe) { REQUIRE(pipe.send({{"error", {{"code", "no_space"}, {"message", "the disk is full"}}}})); }, "the disk is full"},
        {[](rewind::SyncPipe&) {}, "ended the comparison"},
        {[](rewind::SyncPipe& pipe) { REQUIRE(::send(pipe.fd(), "\xff\xff\xff\xff\x02\0\0\0", 8, 0) == 8); }, "no message"},
        {[](rewind::SyncPipe& pipe) { REQUIRE(pipe.send(rewind::SyncPart::control, bytes_of("[1]"))); }, "control message"},
    };
    for (const auto& [say, sentence] : table) {
        CAPTURE(sentence);
        Bench bench;
        FakeStore store(bench.path);
        bench.open();
        {
            auto [pipe, request] = store.welcome();
            say(pipe);
        }
        REQUIRE(bench.fails());
        CHECK_THAT(bench.why(), Catch::Contains(sentence));
        CHECK_FALSE(bench.thread.comes_true([&] { return bench.failed.size() > 1; }, a_moment));
    }
}

TEST_CASE("sync link: nothing is taken from the store while the other side cannot take it") {
    Bench bench;
    bench.wait_ns = 1'000'000;
    FakeStore store(bench.path);
    bench.open();
    auto [pipe, request] = store.welcome();
    REQUIRE(pipe.send(rewind::SyncPart::peer, some(10, 1)));
    REQUIRE(pipe.send(rewind::SyncPart::peer, some(10, 2)));
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.heard.empty(); }, a_moment));
    bench.thread.on_loop([&] { bench.wait_ns = 0; });
    CHECK(bench.thread.comes_true([&] { return bench.heard.size() == 2; }));
}

TEST_CASE("sync link: a store that does not read is not waited for without bound") {
    Bench bench;
    FakeStore store(bench.path);
    bench.open();
    auto [pipe, request] = store.welcome();
    const auto large = some(rewind::sync_message_bytes_max, 1);
    for (size_t given = 0; given <= sync_waiting_bytes_max + (8 << 20); given += large.size()) bench.thread.on_loop([&] { bench.link->give(large); });
    REQUIRE(bench.fails());
    CHECK_THAT(bench.why(), Catch::Contains("more than this host's can take"));
}

TEST_CASE("sync link: nothing is told after it was closed, and the service sees the end") {
    Bench bench;
    FakeStore store(bench.path);
    bench.open();
    auto [pipe, request] = store.welcome();
    bench.thread.on_loop([&] { bench.link->close(); });
    CHECK_FALSE(pipe.receive());
    (void)pipe.send({{"at", 5}}).has_value();
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.told.empty() || !bench.failed.empty(); }, a_moment));
    // Also while it waits for a service.
    Bench other;
    other.open();
    other.thread.on_loop([&] { other.link->close(); });
    FakeStore late(other.path);
    CHECK_FALSE(other.thread.comes_true([&] { return !other.failed.empty(); }, 2 * a_moment));
}
