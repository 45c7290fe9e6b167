#include "base/clock.h"

#include <catch2/catch.hpp>
#include <ctime>

using namespace holdfast;

TEST_CASE("clock: the manual one moves only when it is told to") {
    ManualClock clock(1000);
    CHECK(clock.realtime_ns() == 1000);
    CHECK(clock.monotonic_ns() == 1000);
    clock.advance(500);
    CHECK(clock.realtime_ns() == 1500);
    CHECK(clock.monotonic_ns() == 1500);
}

TEST_CASE("clock: the system's one tells the time of day and never goes back") {
    const auto before = static_cast<uint64_t>(std::time(nullptr));
    const uint64_t now_ns = system_clock().realtime_ns();
    CHECK(now_ns / 1'000'000'000 >= before);
    CHECK(now_ns / 1'000'000'000 <= before + 60);
    uint64_t last = system_clock().monotonic_ns();
    for (int i = 0; i < 1000; ++i) {
        const uint64_t next = system_clock().monotonic_ns();
        REQUIRE(next >= last);
        last = next;
    }
}
