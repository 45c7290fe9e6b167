// How fast a replica may be sent to: a limit, or a table of the week, as an administrator writes it; and the waiting that keeps it.
//
// A token bucket without a bucket: what was sent pushes the moment of the next sending, so that over any stretch longer than one
// piece of the stream the rate is the limit. Pieces are cut small enough for a slow limit to be even.
//
// Thread rule: plain values and pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "replicator/engine/schedule.h"

namespace holdfast::replicator {

struct HoursLimit : Hours {
    uint64_t bytes_per_second = 0;
    bool operator==(const HoursLimit&) const = default;
};

struct Limits {
    uint64_t bytes_per_second = 0;  // 0: none
    std::vector<HoursLimit> hours;  // the first that fits wins; where none does, the one above holds
    bool operator==(const Limits&) const = default;
};

// WEEKDAY: 0 is Monday. 0: no limit.
uint64_t limit_at(const Limits& limits, int weekday, int hour);

class Pace {
public:
    // How long nothing may be sent yet.
    uint64_t wait_ns(uint64_t now_ns) const { return due_ns_ > now_ns ? due_ns_ - now_ns : 0; }
    void sent(uint64_t bytes, uint64_t limit, uint64_t now_ns);
    // The longest piece of the stream that a limit makes sense of: half a second's worth.
    static uint32_t piece_bytes(uint64_t limit, uint32_t wanted);

private:
    uint64_t due_ns_ = 0;
};

}  // namespace holdfast::replicator
