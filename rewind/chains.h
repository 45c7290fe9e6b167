// The hash chains of the volume's history, as far as the store has applied it: where each of the newest segments ended. Two stores that have one of
// them in common applied the same records up to there, whatever their journals have forgotten since.
//
// Kept in the small file STORE/chains, with every checkpoint. It may lack any of them, which costs a comparison its shortcut and nothing else: one that is
// damaged is begun anew.
//
// Thread rule: one writer; points() from any thread. Ownership: the disk outlives it.
#pragma once

#include <deque>
#include <vector>

#include "base/disk.h"
#include "base/mutex.h"
#include "base/result.h"
#include "journal/segment.h"

namespace holdfast::rewind {

// 64 GiB of journal in segments of 64 MiB.
inline constexpr size_t chains_max = 1024;

struct ChainPoint {
    journal::Lsn lsn = 0;                  // a segment ended here
    journal::ChainHash::Value chain{};     // over everything before
    bool operator==(const ChainPoint&) const = default;
};

class Chains {
public:
    // False: it was damaged, and is empty now. Errors: io.
    Result<bool> load(Disk& store);
    // POINT is the newest.
    void add(const ChainPoint& point);
    // The store goes back to AT. Durable on return.
    Status cut(Disk& store, journal::Lsn at);
    // Drops what lies before WINDOW_BEGIN. Durable on return.
    Status save(Disk& store, journal::Lsn window_begin);

    std::vector<ChainPoint> points() const;  // oldest first

private:
    mutable Mutex mutex_;
    std::deque<ChainPoint> points_ HF_GUARDED_BY(mutex_);
    bool is_saved_ HF_GUARDED_BY(mutex_) = true;
};

}  // namespace holdfast::rewind
