#include "replicator/engine/schedule.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace holdfast::replicator {

namespace {

constexpr uint64_t second_ns = 1'000'000'000;

std::optional<int> number_in(std::string_view digits) {
    int number = 0;
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool is_number = wrong == std::errc() && end == digits.data() + digits.size() && digits.front() != '-';
    return is_number ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<Date> parse_date(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto year = number_in(text.substr(0, 4)), month = number_in(text.substr(5, 2)), day = number_in(text.substr(8, 2));
    if (!year || !month || !day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)), std::chrono::day(static_cast<unsigned>(*day))};
    return date.ok() ? std::optional(Date{*year, *month, *day}) : std::nullopt;
}

LocalTime local_time(uint64_t realtime_ns) {
    const auto seconds = static_cast<time_t>(realtime_ns / second_ns);
    tm local{};
    ::localtime_r(&seconds, &local);
    return {{local.tm_year + 1900, local.tm_mon + 1, local.tm_mday}, (local.tm_wday + 6) % 7, local.tm_hour};
}

bool Schedule::is_open(const LocalTime& now) const {
    if (std::find(except.begin(), except.end(), now.date) != except.end()) return false;
    return windows.empty() || std::any_of(windows.begin(), windows.end(), [&](const Hours& window) { return window.hold(now.weekday, now.hour); });
}

}  // namespace holdfast::replicator
