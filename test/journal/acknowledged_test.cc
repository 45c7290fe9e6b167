#include "journal/acknowledged.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <thread>

#include "journal/inflight.h"
#include "test/support/scratch.h"

namespace holdfast::journal {
namespace {

const VolumeId volume{{1}};

std::unique_ptr<InflightTable> open(const std::string& path) {
    auto table = InflightTable::open(path, volume);
    REQUIRE(table.has_value());
    return std::move(table).value();
}

// A table in which records up to 1000 are published, and its words.
struct Bench {
    test::ScratchDirectory scratch;
    std::unique_ptr<InflightTable> table = open(scratch / "inflight");
    AcknowledgedWords& words = table->head().acknowledged;

    Bench() {
        table->stamp_boot();
        table->head().published = 1000;
    }
    Lsn said(DurabilityMode mode) { return words.acknowledged(mode, table->head().published); }
};

TEST_CASE("acknowledged: the furthest of all replicas counts, in memory or on the disk") {
    Bench bench;
    CHECK(bench.said(DurabilityMode::sync) == 0);
    const auto beta = bench.words.claim("beta"), gamma = bench.words.claim("gamma");
    REQUIRE((beta && gamma && beta != gamma));
    bench.words.acknowledge(*beta, 700, 300);
    bench.words.acknowledge(*gamma, 600, 500);
    CHECK(bench.said(DurabilityMode::semi_sync) == 700);
    CHECK(bench.said(DurabilityMode::sync) == 500);
    // One that lost what it had only in memory says so.
    bench.words.acknowledge(*beta, 300, 300);
    CHECK(bench.said(DurabilityMode::semi_sync) == 600);
    bench.words.release(*gamma);
    CHECK(bench.said(DurabilityMode::sync) == 300);
}

TEST_CASE("acknowledged: what lies above the published end cannot be true and counts as nothing") {
    Bench bench;
    const auto beta = bench.words.claim("beta"), gamma = bench.words.claim("gamma");
    bench.words.acknowledge(*beta, 1001, ~Lsn{0});
    CHECK(bench.said(DurabilityMode::semi_sync) == 0);
    CHECK(bench.said(DurabilityMode::sync) == 0);
    bench.words.acknowledge(*gamma, 1000, 900);
    CHECK(bench.said(DurabilityMode::semi_sync) == 1000);
    CHECK(bench.said(DurabilityMode::sync) == 900);
}

TEST_CASE("acknowledged: a peer keeps its place, two engines of one peer share it, and there are not more than there are") {
    Bench bench;
    const auto beta = bench.words.claim("beta");
    REQUIRE(beta);
    bench.words.acknowledge(*beta, 10, 10);
    CHECK(bench.words.claim("beta") == beta);
    CHECK(bench.said(DurabilityMode::sync) == 10);  // an engine that was killed and started again finds what it said
    for (size_t i = 1; i < acknowledging_replicas_max; ++i) CHECK(bench.words.claim("peer" + std::to_string(i)));
    CHECK_FALSE(bench.words.claim("one more"));
    CHECK(bench.words.claim("beta") == beta);
    bench.words.release(*beta);
    CHECK(bench.words.claim("one more") == beta);
}

TEST_CASE("acknowledged: the words share the fate of the in-flight table") {
    Bench bench;
    bench.words.acknowledge(*bench.words.claim("beta"), 700, 300);
    {
        // Another process of this boot.
        const auto again = open(bench.scratch / "inflight");
        CHECK(again->head().acknowledged.acknowledged(DurabilityMode::sync, again->head().published) == 300);
    }
    bench.table->head().boot_id[0] ^= 1;
    const auto of_next_boot = open(bench.scratch / "inflight");
    of_next_boot->head().published = 1000;
    CHECK(of_next_boot->head().acknowledged.acknowledged(DurabilityMode::semi_sync, of_next_boot->head().published) == 0);
    CHECK(of_next_boot->head().acknowledged.replicas[0].peer == 0);
}

TEST_CASE("acknowledged: who waits is woken by an acknowledgement that another process stored") {
    Bench bench;
    const auto other = open(bench.scratch / "inflight");
    std::thread engine([&] {
        const auto place = other->head().acknowledged.claim("beta");
        for (Lsn lsn = 1; lsn <= 1000; ++lsn) other->head().acknowledged.acknowledge(*place, lsn, lsn);
    });
    constexpr uint64_t minute_ns = 60'000'000'000;
    for (Lsn lsn = 1; lsn <= 1000; ++lsn) REQUIRE(bench.words.wake.wait(minute_ns, [&] { return bench.said(DurabilityMode::sync) >= lsn; }));
    engine.join();
    CHECK_FALSE(bench.words.wake.wait(1, [] { return false; }));
}

}  // namespace
}  // namespace holdfast::journal
