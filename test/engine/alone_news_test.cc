#include "replicator/engine/alone_news.h"

#include <catch2/catch.hpp>

#include "test/engine/told.h"

using namespace holdfast;
using namespace holdfast::replicator;
using journal::Durability;
using journal::DurabilityMode;

namespace {

constexpr uint64_t second = 1'000'000'000;
const journal::VolumeId one{{1}}, other{{2}};
const Durability degrading{DurabilityMode::sync, 10 * second}, blocking{DurabilityMode::sync, 0};

struct Bench {
    EventLog log{system_clock()};
    AloneNews news{log};
    std::string told() const { return test::codes_told(log); }
};

}  // namespace

TEST_CASE("alone news: every change is told once, however many look") {
    Bench bench;
    for (uint32_t changes = 0; changes <= 4; ++changes)
        for (int edge = 0; edge < 3; ++edge) bench.news.look(one, "/srv/data", changes, degrading);
    CHECK(bench.told() == "121 122 121 122 ");
    bench.news.look(other, "/srv/other", 0, degrading);
    CHECK(bench.told() == "121 122 121 122 ");
}

TEST_CASE("alone news: an engine that starts tells what is, not what was") {
    Bench bench;
    bench.news.look(one, "/srv/data", 7, degrading);
    bench.news.look(other, "/srv/other", 8, degrading);
    CHECK(bench.told() == "121 ");
    // Both changes fell between two looks; of many the last two are told.
    bench.news.look(other, "/srv/other", 10, degrading);
    CHECK(bench.told() == "121 121 122 ");
    bench.news.look(other, "/srv/other", 20, degrading);
    CHECK(bench.told() == "121 121 122 121 122 ");
    // Another run of the host's table begins anew.
    bench.news.look(other, "/srv/other", 1, degrading);
    CHECK(bench.told() == "121 121 122 121 122 121 ");
}

TEST_CASE("alone news: the sentence says what fsync does") {
    Bench bench;
    bench.news.look(one, "/srv/data", 1, blocking);
    bench.news.look(one, "/srv/data", 2, blocking);
    bench.news.look(one, "/srv/data", 3, degrading);
    bench.news.look(one, "/srv/data", 4, {});
    const Json events = bench.log.after(0)["events"];
    REQUIRE(events.size() == 4);
    CHECK(events[0]["sentence"] == "No replica of volume \"/srv/data\" keeps up or answers: fsync waits until one does.");
    CHECK(events[1]["sentence"] == "Volume \"/srv/data\" does not go without a replica any more: one has everything that was fsynced.");
    CHECK(events[2]["why"] == "fsync does not wait for one until one has caught up");
    CHECK(events[3]["why"] == "its durability is async");
}
