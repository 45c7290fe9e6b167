// How long what is published has been waiting to be applied on a replica.
//
// A mark says when an end of the stream was there; the lag is the age of the first mark that is not applied. Ends that come within
// spacing_ns of a mark are counted as that mark's, and when there are marks_max of them each takes the next one in: so the lag is never
// told too short, and at most spacing_ns too long as long as there are few marks.
//
// Until the first mark is applied there is no lag to tell: what it covers was published nobody knows when.
//
// Thread rule: one thread. A clock is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "journal/ids.h"

namespace holdfast::replicator {

class LagMeter {
public:
    static constexpr uint64_t spacing_ns = 100'000'000;
    static constexpr size_t marks_max = 1024;

    // END never shrinks.
    void published(journal::Lsn end, uint64_t now_ns);
    void applied(journal::Lsn end);
    // 0: nothing waits.
    std::optional<uint64_t> lag_ns(uint64_t now_ns) const;

private:
    struct Mark { journal::Lsn end; uint64_t time_ns; };

    std::deque<Mark> marks_;  // both rise
    std::optional<journal::Lsn> first_;
    journal::Lsn applied_ = 0;
};

}  // namespace holdfast::replicator
