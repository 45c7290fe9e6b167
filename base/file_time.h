// The time stamps of files as one number: nanoseconds since 1970 in 64 bits.
//
// A signed number of nanoseconds ends in the year 2262, ext4's stamps end in 2446 and those of XFS in 2486. None of the two
// knows a time before December 1901 (31 bits of seconds before 1970). So the numbers below that are used for what lies
// beyond 2262: the count simply goes on past the largest positive number. Every stamp of ext4 and XFS has a number of
// its own. btrfs keeps more; stamps outside of 1901 to 2486 become the nearest end.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <ctime>

namespace holdfast {

inline constexpr uint64_t file_time_second = 1'000'000'000;
inline constexpr int64_t file_time_seconds_min = -(int64_t{1} << 31);
inline constexpr int64_t file_time_seconds_max =
    static_cast<int64_t>(UINT64_MAX / file_time_second) + file_time_seconds_min - 1;  // its last nanosecond still fits

inline int64_t file_time_ns(const timespec& time) {
    int64_t seconds = time.tv_sec;
    uint64_t rest = static_cast<uint64_t>(time.tv_nsec);
    if (seconds < file_time_seconds_min) seconds = file_time_seconds_min, rest = 0;
    if (seconds > file_time_seconds_max) seconds = file_time_seconds_max, rest = file_time_second - 1;
    return static_cast<int64_t>(static_cast<uint64_t>(seconds) * file_time_second + rest);
}

inline timespec file_time(int64_t ns) {
    // Counted from the earliest stamp there is, nothing is negative and nothing has wrapped.
    const uint64_t shift = static_cast<uint64_t>(-file_time_seconds_min) * file_time_second;
    const uint64_t since_earliest = static_cast<uint64_t>(ns) + shift;
    return {static_cast<time_t>(static_cast<int64_t>(since_earliest / file_time_second) + file_time_seconds_min),
            static_cast<long>(since_earliest % file_time_second)};
}

}  // namespace holdfast
