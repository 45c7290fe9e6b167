// When a replica is sent to: hours of the week as an administrator writes them, less some dates. All of it is local time of the host.
// Thread rule: plain values and pure functions.
#pragma once

#include <compare>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>
#include <vector>

namespace holdfast::replicator {

// Hours of some days of the week. What goes past midnight is two of them.
struct Hours {
    uint8_t days = 0;           // bit 0: Monday
    uint8_t from = 0, to = 24;  // TO is not part of it

    // WEEKDAY: 0 is Monday.
    bool hold(int weekday, int hour) const { return (days >> weekday & 1) != 0 && hour >= from && hour < to; }
    bool operator==(const Hours&) const = default;
};

struct Date {
    int year = 0, month = 0, day = 0;
    auto operator<=>(const Date&) const = default;
};
// "2026-12-24". Nothing: it is no date.
std::optional<Date> parse_date(std::string_view text);

// A moment on the realtime clock, as the host's time zone has it.
struct LocalTime {
    Date date;
    int weekday = 0, hour = 0;
};
LocalTime local_time(uint64_t realtime_ns);

struct Schedule {
    std::vector<Hours> windows;  // none: always
    std::vector<Date> except;    // on these dates in none of them

    bool is_open(const LocalTime& now) const;
    bool operator==(const Schedule&) const = default;
};

}  // namespace holdfast::replicator
