#include "replicator/engine/pace.h"

#include <algorithm>

namespace holdfast::replicator {

namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t piece_bytes_min = 16 << 10;

}  // namespace

uint64_t limit_at(const Limits& limits, int weekday, int hour) {
    for (const HoursLimit& row : limits.hours)
        if (row.hold(weekday, hour)) return row.bytes_per_second;
    return limits.bytes_per_second;
}

void Pace::sent(uint64_t bytes, uint64_t limit, uint64_t now_ns) {
    if (limit == 0) return;
    // Bytes of one frame: no overflow.
    due_ns_ = std::max(due_ns_, now_ns) + bytes * second_ns / limit;
}

uint32_t Pace::piece_bytes(uint64_t limit, uint32_t wanted) {
    if (limit == 0) return wanted;
    return static_cast<uint32_t>(std::clamp<uint64_t>(limit / 2, std::min<uint64_t>(piece_bytes_min, wanted), wanted));
}

}  // namespace holdfast::replicator
