// Ends a gap of a volume that goes on being used: the store service's side (docs/decisions/0014, journal/healing.h).
//
// When everything that the journal held is applied and it has room again, the capture worker is asked what was touched meanwhile. Passes
// follow, each of what was touched during the one before, so each is smaller; the one that is small enough is made while nothing
// changes, is exact, and GAP_END follows it. A pass that is not small lets changes go on as soon as it has looked.
//
// When they do not become small, because more is changed than is compared, the limit grows with every pass after heal_passes_patient; what
// everybody then waits for is bounded by heal_hold_ms_max all the same, after which the pass is given up, and tried again later.
//
// Crashes. Whatever dies, the gap is open: GAP_END is the last thing that is recorded. What a pass has recorded until then is part of the
// difference that the next one finds less of; what it took is given back when its connection ends. A worker that dies forgets what was
// touched: then the next mount compares everything.
//
// Ownership: borrows everything. Thread rule: one thread, the follower's, while nothing else is applied.
#pragma once

#include <functional>
#include <optional>
#include <unordered_set>

#include "base/json.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/volume.h"
#include "rewind/heal/heal_target.h"
#include "rewind/heal/touched_tree.h"

namespace holdfast::rewind {

inline constexpr uint64_t heal_last_objects = 2000;     // looked at while everybody waits
inline constexpr uint64_t heal_last_bytes = 32 << 20;   // compared meanwhile
inline constexpr unsigned heal_passes_patient = 4;
inline constexpr unsigned heal_passes_max = 10;

struct HealEvidence {
    unsigned passes = 0;
    uint64_t objects = 0;         // looked at and compared, in all passes
    uint64_t bytes_compared = 0;
    uint64_t repairs = 0;         // records
    uint64_t bytes_written = 0;   // by them
    uint64_t held_ns_max = 0;     // the longest that changes waited
    journal::Lsn gap_end = 0;     // the first moment that is offered again
    double seconds = 0;
};
Json to_json(const HealEvidence& evidence);

class GapHealer {
public:
    // A connection to the capture worker's heal.sock. Errors: unavailable (nobody answers there).
    using Connect = std::function<Result<UniqueFd>()>;
    GapHealer(const journal::Volume& volume, Connect connect, HealHost& host) : volume_(volume), connect_(std::move(connect)), host_(host) {}

    // Nothing: it is not the time yet. Errors: the pass came to no end; the gap is open, and this may be called again.
    // REQUIRES: STORE lies inside of a gap, and everything published is applied.
    Result<std::optional<HealEvidence>> heal(const Store& store);

private:
    struct Attempt;
    Result<bool> pass(const Store& store, Attempt& attempt);
    Status wait_for_room(Attempt& attempt) const;
    Status look_for_left_over(const Store& store, Attempt& attempt) const;

    const journal::Volume& volume_;
    const Connect connect_;
    HealHost& host_;
};

}  // namespace holdfast::rewind
