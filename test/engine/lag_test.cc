#include "replicator/engine/lag.h"

#include <catch2/catch.hpp>

using namespace holdfast::replicator;

namespace {

constexpr uint64_t second = 1'000'000'000;

}  // namespace

TEST_CASE("lag: nothing is told before what there was at the start is applied") {
    LagMeter meter;
    CHECK_FALSE(meter.lag_ns(0));
    meter.published(1000, 1 * second);
    CHECK_FALSE(meter.lag_ns(5 * second));
    meter.applied(999);
    CHECK_FALSE(meter.lag_ns(5 * second));
    meter.applied(1000);
    CHECK(meter.lag_ns(6 * second) == 0);
}

TEST_CASE("lag: it is the age of the oldest that is not applied") {
    LagMeter meter;
    meter.published(1000, 0);
    meter.applied(1000);
    meter.published(2000, 10 * second);
    meter.published(3000, 12 * second);
    CHECK(meter.lag_ns(15 * second) == 5 * second);
    meter.applied(1999);
    CHECK(meter.lag_ns(15 * second) == 5 * second);
    meter.applied(2000);
    CHECK(meter.lag_ns(15 * second) == 3 * second);
    meter.applied(3000);
    CHECK(meter.lag_ns(15 * second) == 0);
    meter.published(3000, 20 * second);
    CHECK(meter.lag_ns(25 * second) == 0);
}

TEST_CASE("lag: what comes soon after a mark is as old as the mark, never younger than it is") {
    LagMeter meter;
    meter.published(1000, 0);
    meter.applied(1000);
    meter.published(2000, 10 * second);
    meter.published(3000, 10 * second + LagMeter::spacing_ns - 1);
    meter.applied(2000);
    CHECK(meter.lag_ns(11 * second) == 1 * second);
    meter.published(4000, 11 * second);
    meter.applied(3000);
    CHECK(meter.lag_ns(11 * second) == 0);
}

TEST_CASE("lag: with more marks than are kept it is told too long and never too short") {
    LagMeter meter;
    meter.published(1, 0);
    meter.applied(1);
    const uint64_t count = 10 * LagMeter::marks_max;
    for (uint64_t i = 2; i <= count; ++i) meter.published(i, i * second);
    for (uint64_t i = 2; i < count; i += 97) {
        meter.applied(i);
        // The oldest that waits is I + 1.
        INFO(i);
        REQUIRE(*meter.lag_ns(count * second) >= (count - i - 1) * second);
        REQUIRE(*meter.lag_ns(count * second) <= (count - 1) * second);
    }
    meter.applied(count);
    CHECK(meter.lag_ns(count * second) == 0);
}
