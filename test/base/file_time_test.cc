#include "base/file_time.h"

#include <catch2/catch.hpp>

using namespace holdfast;

namespace {

bool survives(const timespec& time) {
    const timespec back = file_time(file_time_ns(time));
    return back.tv_sec == time.tv_sec && back.tv_nsec == time.tv_nsec;
}

}  // namespace

TEST_CASE("file time: today and its neighbours are plain nanoseconds since 1970") {
    CHECK(file_time_ns({1'700'000'000, 123}) == 1'700'000'000'000'000'123);
    CHECK(file_time_ns({0, 0}) == 0);
    CHECK(file_time_ns({-1, 999'999'999}) == -1);
    const timespec before_1970 = file_time(-1);
    CHECK(before_1970.tv_sec == -1);
    CHECK(before_1970.tv_nsec == 999'999'999);
}

TEST_CASE("file time: every stamp of ext4 and XFS survives, also beyond 2262") {
    for (const int64_t seconds : {-2147483648L, -1L, 0L, 1L, 4294967295L, 9223372036L, 9223372037L, 15032385535L, 16299260424L})
        for (const long rest : {0L, 1L, 999'999'999L}) {
            INFO(seconds << "." << rest);
            CHECK(survives({seconds, rest}));
        }
}

TEST_CASE("file time: what only btrfs can keep becomes the nearest end") {
    CHECK(file_time(file_time_ns({INT64_MAX, 5})).tv_sec == file_time_seconds_max);
    CHECK(file_time(file_time_ns({INT64_MIN, 5})).tv_sec == file_time_seconds_min);
}
