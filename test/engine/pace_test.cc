#include "replicator/engine/pace.h"

#include <catch2/catch.hpp>

using namespace holdfast::replicator;

TEST_CASE("pace: the first row of the week that fits is the limit, elsewhere the general one") {
    constexpr uint8_t monday_to_friday = 0b0011111, sunday = 0b1000000;
    const Limits limits{1000, {{{monday_to_friday, 8, 18}, 10}, {{monday_to_friday, 0, 24}, 50}, {{sunday, 12, 13}, 7}}};
    CHECK(limit_at(limits, 0, 8) == 10);
    CHECK(limit_at(limits, 4, 17) == 10);
    CHECK(limit_at(limits, 4, 18) == 50);
    CHECK(limit_at(limits, 0, 7) == 50);
    CHECK(limit_at(limits, 5, 12) == 1000);
    CHECK(limit_at(limits, 6, 12) == 7);
    CHECK(limit_at(limits, 6, 13) == 1000);
    CHECK(limit_at(Limits{}, 3, 3) == 0);
}

TEST_CASE("pace: over any stretch longer than a piece, the rate is the limit") {
    constexpr uint64_t second = 1'000'000'000, limit = 100'000;
    Pace pace;
    uint64_t now = 5 * second, sent = 0;
    const uint64_t begin = now;
    while (now < begin + 60 * second) {
        now += pace.wait_ns(now);
        const uint32_t piece = Pace::piece_bytes(limit, 1 << 20);
        pace.sent(piece, limit, now);
        sent += piece;
        now += second / 1000;  // the work itself
    }
    CHECK(sent <= limit * 61);
    CHECK(sent >= limit * 59);
}

TEST_CASE("pace: without a limit nothing waits, and pieces are as long as they were asked for") {
    Pace pace;
    pace.sent(1 << 30, 0, 7);
    CHECK(pace.wait_ns(7) == 0);
    CHECK(Pace::piece_bytes(0, 1 << 20) == 1 << 20);
    CHECK(Pace::piece_bytes(1 << 30, 1 << 20) == 1 << 20);
    CHECK(Pace::piece_bytes(1 << 10, 1 << 20) == 16 << 10);
    CHECK(Pace::piece_bytes(1 << 10, 100) == 100);
}
