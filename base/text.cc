#include "base/text.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>
#include <span>

namespace holdfast {
namespace {

constexpr uint64_t ns_per_second = 1'000'000'000;
constexpr char hex_digits[] = "0123456789abcdef";

struct Unit {
    char letter;
    uint64_t factor;
};
constexpr Unit byte_units[] = {{'K', 1ULL << 10}, {'M', 1ULL << 20}, {'G', 1ULL << 30}, {'T', 1ULL << 40}};
constexpr Unit duration_units[] = {{'s', ns_per_second},
                                   {'m', 60 * ns_per_second},
                                   {'h', 3600 * ns_per_second},
                                   {'d', 86400 * ns_per_second}};

// Takes a decimal number off the front of TEXT; nothing when there is none or it does not fit.
std::optional<uint64_t> take_number(std::string_view& text) {
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
        uint64_t digit = static_cast<uint64_t>(text[digits++] - '0');
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, digit, &number)) return {};
    }
    if (digits == 0) return {};
    text.remove_prefix(digits);
    return number;
}

// "12X" with X one of UNITS; without a letter NO_UNIT is the factor, zero says that a letter is needed.
std::optional<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units, bool any_case,
                                        uint64_t no_unit) {
    auto number = take_number(text);
    if (!number || text.size() > 1) return {};
    uint64_t factor = text.empty() ? no_unit : 0;
    for (const Unit& unit : units) {
        if (text.empty()) break;
        if (text[0] == unit.letter || (any_case && text[0] == unit.letter + ('a' - 'A'))) factor = unit.factor;
    }
    uint64_t product = 0;
    if (factor == 0 || __builtin_mul_overflow(*number, factor, &product)) return {};
    return product;
}

// Exactly COUNT digits off the front, as a number of at most nine digits.
bool take_digits(std::string_view& text, size_t count, int& number) {
    if (text.size() < count) return false;
    number = 0;
    for (size_t i = 0; i < count; ++i) {
        if (text[i] < '0' || text[i] > '9') return false;
        number = number * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return true;
}

bool take(std::string_view& text, char expected) {
    if (text.empty() || text[0] != expected) return false;
    text.remove_prefix(1);
    return true;
}

struct CivilTime {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    uint64_t nanosecond = 0;
};

bool take_fraction(std::string_view& text, uint64_t& nanosecond) {
    uint64_t scale = ns_per_second;
    size_t digits = 0;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
        if (++digits > 9) return false;
        scale /= 10;
        nanosecond += static_cast<uint64_t>(text[0] - '0') * scale;
        text.remove_prefix(1);
    }
    return digits > 0;
}

bool take_civil(std::string_view& text, CivilTime& civil) {
    if (!take_digits(text, 4, civil.year) || !take(text, '-') || !take_digits(text, 2, civil.month) ||
        !take(text, '-') || !take_digits(text, 2, civil.day))
        return false;
    if (take(text, 'T')) {
        if (!take_digits(text, 2, civil.hour) || !take(text, ':') || !take_digits(text, 2, civil.minute)) return false;
        if (take(text, ':') && !take_digits(text, 2, civil.second)) return false;
        if (take(text, '.') && !take_fraction(text, civil.nanosecond)) return false;
    }
    std::chrono::year_month_day date{std::chrono::year(civil.year), std::chrono::month(static_cast<unsigned>(civil.month)),
                                     std::chrono::day(static_cast<unsigned>(civil.day))};
    return date.ok() && civil.hour < 24 && civil.minute < 60 && civil.second < 60;
}

int64_t utc_seconds(const CivilTime& civil) {
    std::chrono::sys_days days{std::chrono::year_month_day{std::chrono::year(civil.year),
                                                           std::chrono::month(static_cast<unsigned>(civil.month)),
                                                           std::chrono::day(static_cast<unsigned>(civil.day))}};
    return days.time_since_epoch().count() * int64_t{86400} + civil.hour * 3600 + civil.minute * 60 + civil.second;
}

int64_t local_seconds(const CivilTime& civil) {
    std::tm broken{};
    broken.tm_year = civil.year - 1900;
    broken.tm_mon = civil.month - 1;
    broken.tm_mday = civil.day;
    broken.tm_hour = civil.hour;
    broken.tm_min = civil.minute;
    broken.tm_sec = civil.second;
    broken.tm_isdst = -1;
    return std::mktime(&broken);
}

// "Z", "+hh:mm", "-hh:mm" or nothing, and then the end of the text.
std::optional<int64_t> take_zone(std::string_view text, const CivilTime& civil) {
    if (text.empty()) return local_seconds(civil);
    if (text == "Z") return utc_seconds(civil);
    bool east = text[0] == '+';
    if (!east && text[0] != '-') return {};
    text.remove_prefix(1);
    int hours = 0, minutes = 0;
    if (!take_digits(text, 2, hours) || !take(text, ':') || !take_digits(text, 2, minutes) || !text.empty()) return {};
    if (hours > 23 || minutes > 59) return {};
    int64_t shift = hours * 3600 + minutes * 60;
    return utc_seconds(civil) + (east ? -shift : shift);
}

}  // namespace

std::string quoted(std::string_view name) {
    std::string text = "\"";
    for (unsigned char byte : name) {
        if (byte == '"' || byte == '\\') {
            text += '\\';
            text += static_cast<char>(byte);
        } else if (byte >= 0x20 && byte < 0x7f) {
            text += static_cast<char>(byte);
        } else {
            text += "\\x";
            text += hex_digits[byte >> 4];
            text += hex_digits[byte & 15];
        }
    }
    return text += '"';
}

std::string human_bytes(uint64_t bytes) {
    if (bytes < 1024) return std::to_string(bytes) + " B";
    static constexpr const char* names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < std::size(names)) {  // what would be printed as 1024.0
        value /= 1024;
        ++unit;
    }
    char text[32];
    std::snprintf(text, sizeof text, "%.1f %s", value, names[unit]);
    return text;
}

Result<uint64_t> parse_bytes(std::string_view text) {
    if (auto bytes = parse_with_unit(text, byte_units, true, 1)) return *bytes;
    return Error{ErrorCode::invalid_argument, quoted(text) + " is not a size; write for example 64M, 10G or 4096"};
}

Result<uint64_t> parse_duration_ns(std::string_view text) {
    if (auto duration = parse_with_unit(text, duration_units, false, 0)) return *duration;
    return Error{ErrorCode::invalid_argument, quoted(text) + " is not a duration; write for example 90s, 15m, 2h or 7d"};
}

std::string iso8601_utc(uint64_t realtime_ns) {
    std::time_t seconds = static_cast<std::time_t>(realtime_ns / ns_per_second);
    std::tm broken{};
    gmtime_r(&seconds, &broken);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", broken.tm_year + 1900, broken.tm_mon + 1,
                  broken.tm_mday, broken.tm_hour, broken.tm_min, broken.tm_sec,
                  static_cast<unsigned>(realtime_ns % ns_per_second / 1'000'000));
    return text;
}

Result<uint64_t> parse_iso8601_ns(std::string_view text) {
    Error wrong{ErrorCode::invalid_argument,
                quoted(text) + " is not a time; write for example 2026-03-01, 2026-03-01T14:03 or "
                               "2026-03-01T14:03:20.5+01:00"};
    std::string_view rest = text;
    CivilTime civil;
    if (!take_civil(rest, civil)) return wrong;
    auto seconds = take_zone(rest, civil);
    // The latest second whose nanoseconds fit lies in the year 2554.
    if (!seconds || *seconds < 0 || static_cast<uint64_t>(*seconds) >= UINT64_MAX / ns_per_second) return wrong;
    return static_cast<uint64_t>(*seconds) * ns_per_second + civil.nanosecond;
}

std::string hex(const void* bytes, size_t size) {
    std::string text;
    text.reserve(size * 2);
    const auto* data = static_cast<const unsigned char*>(bytes);
    for (size_t i = 0; i < size; ++i) {
        text += hex_digits[data[i] >> 4];
        text += hex_digits[data[i] & 15];
    }
    return text;
}

Result<std::string> unhex(std::string_view text) {
    auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string bytes;
    bytes.reserve(text.size() / 2);
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0) break;
        bytes += static_cast<char>(high << 4 | low);
    }
    if (bytes.size() * 2 != text.size())
        return Error{ErrorCode::invalid_argument, quoted(text) + " is not an even number of hexadecimal digits"};
    return bytes;
}

}  // namespace holdfast
