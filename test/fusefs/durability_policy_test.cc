#include "fusefs/filter/durability_policy.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::fusefs;
using journal::Durability;
using journal::DurabilityMode;
using journal::Lsn;

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr Lsn far = 100 << 20;
const Durability degrading{DurabilityMode::sync, 10 * second}, blocking{DurabilityMode::sync, 0}, asynchronous{};

// A volume, its replica and the time, moved by hand.
struct Bench {
    DurabilityPolicy policy;
    DurabilityPolicy::Seen seen{1000, 1000, 5 * second};
    bool somebody_waits = false;

    explicit Bench(const Durability& durability = degrading, bool is_alone = false) : policy(durability, is_alone) { look(); }
    void look() { policy.look(seen, somebody_waits); }
    // An fsync whose records end there begins to wait, and has begun.
    bool fsync(Lsn below) {
        seen.published = std::max(seen.published, below);
        look();
        const bool waits = !policy.lets_go(below);
        somebody_waits |= waits;
        return !waits;
    }
    void acknowledge(Lsn lsn) {
        seen.acknowledged = lsn;
        look();
    }
    void pass(uint64_t ns) {
        seen.now_ns += ns;
        look();
    }
};

}  // namespace

TEST_CASE("durability policy: an fsync returns when a replica has its records, and not before") {
    Bench bench;
    CHECK(bench.fsync(1000));
    CHECK_FALSE(bench.fsync(2000));
    bench.acknowledge(1999);
    CHECK_FALSE(bench.policy.lets_go(2000));
    bench.acknowledge(2000);
    CHECK(bench.policy.lets_go(2000));
    CHECK_FALSE(bench.policy.is_alone());
}

TEST_CASE("durability policy: an asynchronous volume waits for nobody and is never alone") {
    Bench bench(asynchronous, true);
    CHECK(bench.fsync(far));
    bench.pass(3600 * second);
    CHECK(bench.policy.lets_go(~Lsn{0}));
    CHECK_FALSE(bench.policy.is_alone());
    CHECK_FALSE(bench.policy.deadline_ns(true));
}

TEST_CASE("durability policy: after T without an acknowledgement all go on without, and later ones do not wait") {
    Bench bench;
    REQUIRE_FALSE(bench.fsync(2000));
    CHECK(bench.policy.deadline_ns(true) == bench.seen.now_ns + 10 * second);
    bench.pass(10 * second - 1);
    CHECK_FALSE(bench.policy.lets_go(2000));
    CHECK_FALSE(bench.policy.is_alone());
    bench.pass(1);
    CHECK(bench.policy.lets_go(2000));
    CHECK(bench.policy.is_alone());
    bench.somebody_waits = false;
    CHECK(bench.fsync(3000));
    bench.pass(second);
    CHECK(bench.fsync(4000));
    CHECK(bench.policy.is_alone());
    CHECK_FALSE(bench.policy.deadline_ns(true));
}

TEST_CASE("durability policy: T counts from the last acknowledgement, and only while somebody waits") {
    Bench bench;
    bench.pass(3600 * second);
    REQUIRE_FALSE(bench.fsync(3000));
    for (Lsn lsn = 2000; lsn < 2010; ++lsn) {
        bench.pass(9 * second);
        bench.acknowledge(lsn);
    }
    CHECK_FALSE(bench.policy.is_alone());
    bench.acknowledge(3000);
    bench.somebody_waits = false;
    bench.pass(3600 * second);
    REQUIRE_FALSE(bench.fsync(4000));
    bench.pass(9 * second);
    CHECK_FALSE(bench.policy.lets_go(4000));
}

TEST_CASE("durability policy: it is together again only when a replica has everything that was ever promised") {
    Bench bench;
    REQUIRE_FALSE(bench.fsync(2000));
    bench.pass(10 * second);
    bench.somebody_waits = false;
    REQUIRE(bench.fsync(far));
    // It catches up: as long as much is missing, nobody waits.
    bench.acknowledge(far / 2);
    CHECK(bench.fsync(far + 1));
    // Near the end they wait again, and people are still told that it is alone.
    bench.acknowledge(far - 10);
    CHECK_FALSE(bench.fsync(far + 2));
    CHECK(bench.policy.is_alone());
    bench.acknowledge(far);
    CHECK(bench.policy.is_alone());  // far + 1 was promised and is not there
    bench.acknowledge(far + 1);
    CHECK_FALSE(bench.policy.is_alone());
    CHECK_FALSE(bench.policy.lets_go(far + 2));
    bench.acknowledge(far + 2);
    CHECK(bench.policy.lets_go(far + 2));
}

TEST_CASE("durability policy: a replica that went away while it was near does not make anybody wait twice") {
    Bench bench;
    REQUIRE_FALSE(bench.fsync(1100));
    bench.pass(10 * second);
    REQUIRE(bench.policy.is_alone());
    for (int i = 0; i < 10; ++i) {
        bench.pass(second);
        CHECK(bench.fsync(1200 + static_cast<Lsn>(i)));
    }
    // A new session begins at its durable end, which may be less than what it had in memory; that is no progress.
    bench.acknowledge(900);
    CHECK(bench.fsync(1300));
    bench.acknowledge(1000);
    CHECK_FALSE(bench.fsync(1400));
}

TEST_CASE("durability policy: one that goes away again while it returns costs T once more, without another change") {
    Bench bench;
    REQUIRE_FALSE(bench.fsync(2000));
    bench.pass(10 * second);
    bench.acknowledge(1500);
    REQUIRE_FALSE(bench.fsync(3000));
    bench.pass(10 * second - 1);
    CHECK_FALSE(bench.policy.lets_go(3000));
    CHECK(bench.policy.is_alone());
    bench.pass(1);
    CHECK(bench.policy.lets_go(3000));
    CHECK(bench.policy.is_alone());
}

TEST_CASE("durability policy: under block they wait for as long as it takes, and after a while it is told") {
    Bench bench(blocking);
    REQUIRE_FALSE(bench.fsync(2000));
    bench.pass(told_alone_after_ns);
    CHECK(bench.policy.is_alone());
    CHECK_FALSE(bench.policy.lets_go(2000));
    bench.pass(24 * 3600 * second);
    CHECK_FALSE(bench.policy.lets_go(2000));
    CHECK_FALSE(bench.fsync(3000));
    bench.acknowledge(2000);
    CHECK(bench.policy.lets_go(2000));
    CHECK(bench.policy.is_alone());
    bench.acknowledge(3000);
    CHECK_FALSE(bench.policy.is_alone());
}

TEST_CASE("durability policy: a change takes effect at once, for those who wait already") {
    Bench bench(blocking);
    REQUIRE_FALSE(bench.fsync(2000));
    SECTION("to async") {
        bench.policy.change(asynchronous, bench.seen);
        CHECK(bench.policy.lets_go(2000));
        CHECK_FALSE(bench.policy.is_alone());
    }
    SECTION("to degrade") {
        bench.pass(told_alone_after_ns);
        bench.policy.change(degrading, bench.seen);
        CHECK(bench.policy.lets_go(2000));
        CHECK(bench.policy.is_alone());
    }
    SECTION("from degraded to block") {
        bench.policy.change(degrading, bench.seen);
        bench.pass(10 * second);
        REQUIRE(bench.policy.lets_go(2000));
        bench.policy.change(blocking, bench.seen);
        CHECK_FALSE(bench.policy.lets_go(2000));
        CHECK(bench.policy.is_alone());
    }
}

TEST_CASE("durability policy: a volume whose replica is far behind begins without it, one whose replica is near with it") {
    for (const bool is_near : {false, true}) {
        Bench bench(asynchronous);
        bench.seen.published = far;
        bench.seen.acknowledged = is_near ? far - 100 : 0;
        bench.policy.change(degrading, bench.seen);
        bench.look();
        CHECK(bench.policy.is_alone() == !is_near);
        CHECK(bench.fsync(far) == !is_near);
    }
    Bench started(degrading, true);
    CHECK_FALSE(started.policy.is_alone());  // its replica has everything after all
}
