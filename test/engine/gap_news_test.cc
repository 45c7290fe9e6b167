#include "replicator/engine/gap_news.h"

#include <catch2/catch.hpp>

#include "test/engine/told.h"

using namespace holdfast;
using namespace holdfast::replicator;
using journal::GapReport;

namespace {

const journal::VolumeId one{{1}}, other{{2}};
constexpr uint64_t since_ns = 1'790'000'000'000'000'000;

GapReport report(uint32_t changes, bool needs_mount = false) {
    return {.changes = changes, .needs_mount = needs_mount, .reason = HF_GAP_JOURNAL_FULL, .since_ns = since_ns, .until_ns = since_ns + 5'000'000'000, .objects = 12, .names = 34};
}

struct Bench {
    EventLog log{system_clock()};
    GapNews news{log};
    std::string told() const { return test::codes_told(log); }
    std::string last_why() const { return log.after(0)["events"].back()["why"].get<std::string>(); }
};

}  // namespace

TEST_CASE("gap news: every change is told once, however many look") {
    Bench bench;
    for (uint32_t changes = 0; changes <= 4; ++changes)
        for (int edge = 0; edge < 3; ++edge) bench.news.look(one, "/srv/data", report(changes));
    CHECK(bench.told() == "123 124 123 124 ");
    bench.news.look(other, "/srv/other", report(0));
    CHECK(bench.told() == "123 124 123 124 ");
}

TEST_CASE("gap news: an engine that starts tells what is, not what was; of what it missed, the last gap") {
    Bench bench;
    bench.news.look(one, "/srv/data", report(8));
    CHECK(bench.told().empty());
    bench.news.look(other, "/srv/other", report(7));
    CHECK(bench.told() == "123 ");
    bench.news.look(one, "/srv/data", report(10));
    CHECK(bench.told() == "123 123 124 ");
    bench.news.look(one, "/srv/data", report(20));
    CHECK(bench.told() == "123 123 124 123 124 ");
    // Another run of the host's table begins anew.
    bench.news.look(one, "/srv/data", report(1));
    CHECK(bench.told() == "123 123 124 123 124 123 ");
}

TEST_CASE("gap news: that only a mount will end it is told once, with the beginning or when it becomes so") {
    Bench bench;
    bench.news.look(one, "/srv/data", report(1));
    for (int edge = 0; edge < 3; ++edge) bench.news.look(one, "/srv/data", report(1, true));
    CHECK(bench.told() == "123 125 ");
    bench.news.look(one, "/srv/data", report(2, true));
    CHECK(bench.told() == "123 125 124 ");
    CHECK(bench.last_why() == "everything was compared when it was mounted");
    for (int edge = 0; edge < 3; ++edge) bench.news.look(one, "/srv/data", report(3, true));
    CHECK(bench.told() == "123 125 124 123 ");
    CHECK(bench.last_why().find("only a comparison of everything ends it") != std::string::npos);
}

TEST_CASE("gap news: the sentences say since when, why, and how much was compared") {
    Bench bench;
    bench.news.look(one, "/srv/data", report(1));
    CHECK(bench.last_why() == "nothing is recorded since 2026-09-21T14:13:20.000Z, because the journal is full and its store takes nothing from it; it goes on by itself when there is room");
    bench.news.look(one, "/srv/data", report(2));
    CHECK(bench.last_why() == "nothing was recorded from 2026-09-21T14:13:20.000Z until 2026-09-21T14:13:25.000Z; 12 objects and 34 names that changed meanwhile were compared");
    GapReport unknown = report(3);
    unknown.since_ns = 0;
    unknown.reason = HF_GAP_JOURNAL_FAILED;
    bench.news.look(one, "/srv/data", unknown);
    CHECK(bench.last_why().starts_with("nothing is recorded for some time, because the journal's disk failed"));
}
