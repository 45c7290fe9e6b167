#include "replicator/engine/source_repair.h"

#include <catch2/catch.hpp>
#include <optional>

#include "base/json_socket.h"
#include "test/engine/fake_store.h"
#include "test/engine/loop_thread.h"
#include "test/engine/source_bench.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr uint64_t segment_bytes = JournalBuilder::segment_bytes;

// A repair as an edge begins it, and what it heard.
struct Bench : SourceBench {
    LoopThread thread;
    FakeStore store{scratch / "sync.sock"};
    std::unique_ptr<Work> work;
    std::unique_ptr<SourceRepair> repair;
    std::vector<SourceJournal::RepairOffer> offers;
    std::vector<std::vector<std::byte>> answers;
    std::vector<Error> failed;

    explicit Bench(uint64_t first_segment = 0, bool needs_new_moment = false) : SourceBench(first_segment) {
        ::setenv("HOLDFAST_RUN_DIR", (scratch / "run").c_str(), 1);
        mount();
        std::shared_ptr<SourceJournal> journal = open();
        thread.on_loop([&] {
            work = std::make_unique<Work>(thread.loop());
            repair = std::make_unique<SourceRepair>(thread.loop(), *work, journal, scratch / "sync.sock", needs_new_moment,
                                                    SourceRepair::Events{[this](const auto& offer) { offers.push_back(offer); },
                                                                         [this](std::vector<std::byte> bytes) { answers.push_back(std::move(bytes)); }, [] { return uint64_t{0}; },
                                                                         [this](const Error& why) { failed.push_back(why); }});
        });
    }
    ~Bench() {
        thread.on_loop([&] { repair.reset(), work.reset(); });
        thread.end();
        ::unsetenv("HOLDFAST_RUN_DIR");
    }
};

}  // namespace

TEST_CASE("source repair: the store tells a moment, the journal is kept from its segment on, then the stores talk") {
    Bench bench(3);
    auto [pipe, request] = bench.store.welcome();
    CHECK(request["role"] == "serve");
    REQUIRE(pipe.send({{"at", bench.ends[0]}, {"time_ns", 99}}));
    REQUIRE(bench.thread.comes_true([&] { return bench.offers.size() == 1; }));
    CHECK(bench.offers[0].point.at == bench.ends[0]);
    CHECK(bench.offers[0].point.time_ns == 99);
    CHECK(bench.offers[0].point.begin.lsn == 5 * segment_bytes);
    CHECK(bench.cursors() == Cursors{{"replica-beta", 5 * segment_bytes}});

    const std::vector<std::byte> question(3, std::byte{1}), answer(5, std::byte{2});
    bench.thread.on_loop([&] { bench.repair->ask(question); });
    CHECK(pipe.receive().value().bytes == question);
    REQUIRE(pipe.send(rewind::SyncPart::peer, answer));
    CHECK(bench.thread.comes_true([&] { return bench.answers.size() == 1 && bench.answers[0] == answer; }));
    CHECK(bench.thread.on_loop([&] { return bench.repair->moved_bytes(); }) == 8);
    bench.thread.on_loop([&] { bench.repair.reset(); });
    CHECK_FALSE(pipe.receive());
    CHECK(bench.failed.empty());
}

TEST_CASE("source repair: a moment that the journal has just forgotten is given up for a new one, a few times") {
    Bench bench(3);
    for (int time = 1; time <= repair_moments_max; ++time) {
        auto [pipe, request] = bench.store.welcome();
        REQUIRE(pipe.send({{"at", time < repair_moments_max ? 5000 : bench.ends[0]}, {"time_ns", 99}}));
        if (time < repair_moments_max) CHECK_FALSE(pipe.receive());  // closed
        else REQUIRE(bench.thread.comes_true([&] { return bench.offers.size() == 1; }));
        CHECK(bench.thread.on_loop([&] { return bench.failed.empty(); }));  // while the store is there
    }

    Bench other(3);
    for (int time = 1; time <= repair_moments_max; ++time) {
        auto [pipe, request] = other.store.welcome();
        REQUIRE(pipe.send({{"at", 5000}, {"time_ns", 99}}));
        CHECK_FALSE(pipe.receive());
    }
    REQUIRE(other.thread.comes_true([&] { return other.failed.size() == 1; }));
    CHECK_THAT(other.failed[0].message, Catch::Contains("does not keep"));
    CHECK(other.offers.empty());
}

TEST_CASE("source repair: a store that tells no moment, an error, or ends, is told with a sentence") {
    const struct { Json says; const char* sentence; } table[] = {
        {{{"at", "soon"}, {"time_ns", 1}}, "told none"}, {{{"at", 5}}, "told none"}, {{{"at", -5}, {"time_ns", 1}}, "told none"},
        {{{"error", {{"code", "unavailable"}, {"message", "the first copy is not complete"}}}}, "first copy"}, {nullptr, "ended"},
    };
    for (const auto& [says, sentence] : table) {
        CAPTURE(sentence);
        Bench bench;
        {
            auto [pipe, request] = bench.store.welcome();
            if (!says.is_null()) REQUIRE(pipe.send(says));
            if (!says.is_null()) CHECK_FALSE(pipe.receive());
        }
        REQUIRE(bench.thread.comes_true([&] { return bench.failed.size() == 1; }));
        CHECK_THAT(bench.failed[0].message, Catch::Contains(sentence));
        CHECK(bench.offers.empty());
    }
}

TEST_CASE("source repair: a replica that may have everything gets a moment that is made for it, where one can be made") {
    {
        Bench bench(3, true);  // nobody captures
        auto [pipe, request] = bench.store.welcome();
        CHECK(request == Json{{"role", "serve"}});
    }
    for (const bool can : {true, false}) {
        ScratchDirectory run;
        SourceBench volume(3);
        ::setenv("HOLDFAST_RUN_DIR", run.path().c_str(), 1);
        Json asked;
        const auto capture = JsonServer::start(journal::capture_socket(volume.volume.id), [&](const Json& request, const JsonServer::Progress&) -> Result<Json> {
            asked = request;
            if (!can) return Error{ErrorCode::no_space, "the journal is full"};
            return Json{{"lsn", 4711}};
        });
        REQUIRE(capture);
        volume.mount();
        const auto made = volume.open()->make_moment();
        CHECK(made.has_value() == can);
        if (can) CHECK(made.value() == 4711);
        CHECK(asked["verb"] == "bookmark");
        CHECK(asked["name"].get<std::string>().starts_with("repair-beta-"));
        CHECK(asked["room"].get<uint64_t>() > 1 << 20);
        ::unsetenv("HOLDFAST_RUN_DIR");
    }
}
