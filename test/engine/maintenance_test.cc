#include "replicator/engine/maintenance.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "test/engine/loop_thread.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr uint64_t minute_ns = 60'000'000'000;

struct Bench {
    ScratchDirectory scratch;
    const std::string directory = scratch / "engine";
    LoopThread thread;
    std::optional<Host> host;
    std::unique_ptr<Maintenance> maintenance;
    // The loop's thread.
    std::vector<std::string> undrained, unsettled;
    int drains = 0, follows = 0;

    Bench() {
        host.emplace(Host{thread.loop(), system_clock(), "alpha", Identity::load_or_make(directory).value(), Peers::load(directory + "/peers.json").value()});
        REQUIRE(open());
    }
    ~Bench() { close(); }
    Status open() {
        return thread.on_loop([&]() -> Status {
            auto opened = Maintenance::open(*host, directory, {[this] { ++drains; }, [this] { return undrained; }, [this] { ++follows; }, [this] { return unsettled; }});
            if (!opened) return opened.error();
            maintenance = std::move(*opened);
            return ok();
        });
    }
    void close() {
        thread.on_loop([&] { maintenance.reset(); });
    }
    Status prepare(uint64_t timeout_ns = minute_ns) {
        return thread.on_loop([&] { return maintenance->prepare(timeout_ns); });
    }
    Json shown() {
        return thread.on_loop([&] { return maintenance->show(); });
    }
    bool becomes(const char* state) {
        return thread.comes_true([&] { return maintenance->show().at("state") == state; });
    }
    void set(std::vector<std::string>& list, std::vector<std::string> value) {
        thread.on_loop([&] { list = std::move(value); });
    }
    bool is_remembered() const { return std::filesystem::exists(directory + "/maintenance"); }
};

}  // namespace

TEST_CASE("maintenance: it drains, then rests, then settles, and only then it is remembered") {
    Bench bench;
    bench.undrained = {"beta lacks 5"};
    bench.unsettled = {"the replica lacks 7"};
    REQUIRE(bench.prepare());
    CHECK(bench.shown() == Json({{"state", "draining"}, {"behind", {"beta lacks 5"}}}));
    CHECK(bench.drains == 1);
    CHECK_FALSE(bench.host->is_in_maintenance);
    bench.set(bench.undrained, {});
    REQUIRE(bench.becomes("settling"));
    CHECK(bench.shown().at("behind") == Json{"the replica lacks 7"});
    CHECK(bench.host->is_in_maintenance);
    CHECK(bench.follows == 1);
    CHECK_FALSE(bench.is_remembered());
    bench.set(bench.unsettled, {});
    REQUIRE(bench.becomes("prepared"));
    CHECK(bench.is_remembered());
    CHECK(bench.prepare().error().code == ErrorCode::exists);
    REQUIRE(bench.thread.on_loop([&] { return bench.maintenance->done(); }));
    CHECK_FALSE(bench.host->is_in_maintenance);
    CHECK(bench.follows == 2);
    CHECK_FALSE(bench.is_remembered());
    CHECK(bench.shown().at("state") == "none");
    CHECK(bench.thread.on_loop([&] { return bench.maintenance->done(); }).error().code == ErrorCode::not_found);
}

TEST_CASE("maintenance: when the time is up it says who is behind, and everything goes on") {
    for (const bool rests : {false, true}) {
        CAPTURE(rests);
        Bench bench;
        (rests ? bench.unsettled : bench.undrained) = {"beta lacks 5", "gamma lacks 7"};
        REQUIRE(bench.prepare(200'000'000));
        REQUIRE(bench.becomes("none"));
        CHECK(bench.shown().at("why") == "the time is up, and beta lacks 5; gamma lacks 7");
        CHECK_FALSE(bench.host->is_in_maintenance);
        CHECK(bench.follows == (rests ? 2 : 0));
        CHECK_FALSE(bench.is_remembered());
        // It can be tried again.
        bench.set(bench.undrained, {});
        bench.set(bench.unsettled, {});
        REQUIRE(bench.prepare());
        REQUIRE(bench.becomes("prepared"));
        CHECK_FALSE(bench.shown().contains("why"));
    }
}

TEST_CASE("maintenance: an engine that is started anew is in it until it is done, whatever the file holds") {
    Bench bench;
    REQUIRE(bench.prepare());
    REQUIRE(bench.becomes("prepared"));
    for (const char* contents : {"", "nonsense\n"}) {
        bench.close();
        std::ofstream(bench.directory + "/maintenance", std::ios::trunc) << contents;
        bench.host->is_in_maintenance = false;
        REQUIRE(bench.open());
        CHECK(bench.host->is_in_maintenance);
        CHECK(bench.shown().at("state") == "prepared");
    }
    // One that died before it was prepared is not.
    REQUIRE(bench.thread.on_loop([&] { return bench.maintenance->done(); }));
    bench.set(bench.undrained, {"beta lacks 5"});
    REQUIRE(bench.prepare());
    bench.close();
    REQUIRE(bench.open());
    CHECK(bench.shown().at("state") == "none");
}
