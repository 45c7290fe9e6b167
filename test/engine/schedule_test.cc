#include "replicator/engine/schedule.h"

#include <catch2/catch.hpp>

using namespace holdfast::replicator;

TEST_CASE("schedule: it is open in its windows, and always when it has none") {
    constexpr uint8_t saturday = 0b0100000, monday_to_friday = 0b0011111;
    const Schedule schedule{{{monday_to_friday, 20, 24}, {monday_to_friday, 0, 6}, {saturday, 0, 24}}, {}};
    const struct { int weekday, hour; bool is_open; } table[] = {{0, 19, false}, {0, 20, true}, {0, 23, true}, {1, 0, true},  {1, 5, true},  {1, 6, false},
                                                                 {5, 0, true},   {5, 23, true}, {6, 0, false}, {6, 12, false}};
    for (const auto& row : table) {
        CAPTURE(row.weekday, row.hour);
        CHECK(schedule.is_open({{2026, 11, 26}, row.weekday, row.hour}) == row.is_open);
        CHECK(Schedule{}.is_open({{2026, 11, 26}, row.weekday, row.hour}));
    }
}

TEST_CASE("schedule: on the dates that are taken out nothing is open") {
    const Schedule schedule{{{0b1111111, 0, 24}}, {{2026, 12, 24}}}, always{{}, {{2026, 12, 24}}};
    for (const Schedule& one : {schedule, always}) {
        CHECK(one.is_open({{2026, 12, 23}, 2, 23}));
        CHECK_FALSE(one.is_open({{2026, 12, 24}, 3, 0}));
        CHECK_FALSE(one.is_open({{2026, 12, 24}, 3, 23}));
        CHECK(one.is_open({{2026, 12, 25}, 4, 0}));
        CHECK(one.is_open({{2027, 12, 24}, 4, 0}));
    }
}

TEST_CASE("schedule: a date is written in one way") {
    CHECK(parse_date("2026-12-24") == Date{2026, 12, 24});
    CHECK(parse_date("2028-02-29") == Date{2028, 2, 29});
    for (const char* bad : {"", "2026-12-24 ", "2026-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32", "26-12-24", "2026/12/24", "2026-1-024", "-026-12-24", "2026--1-01", "2026-12-2x", "24.12.2026"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_date(bad));
    }
}

TEST_CASE("schedule: a moment is that of the host's time zone") {
    ::setenv("TZ", "UTC+3", 1);  // three hours west
    ::tzset();
    const LocalTime then = local_time(1'795'824'000'000'000'000);  // 2026-11-28 00:00:00 UTC
    ::unsetenv("TZ");
    ::tzset();
    CHECK(then.date == Date{2026, 11, 27});
    CHECK(then.weekday == 4);
    CHECK(then.hour == 21);
}
