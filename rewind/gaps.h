// The intervals of the stream in which capture was incomplete (I4). No moment inside one is offered.
//
// Gaps may overlap: one that the journal's filling opened lies inside the one that a bypass opened. The end of a gap
// that comes with a comparison of the whole tree closes every gap but a bypass, which goes on until its own end or until
// the volume was compared while nothing was mounted.
//
// Thread rule: all methods from any thread.
#pragma once

#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "journal/format.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

class Gaps {
public:
    // Forgets all; gaps of the reasons in OPEN (a set of bits) are open from before the window's begin.
    void start(uint32_t open) HF_EXCLUDES(mutex_);
    void begin(hf_gap_reason reason, Lsn lsn) HF_EXCLUDES(mutex_);
    // The record GAP_END ends at END_LSN.
    void end(hf_gap_reason reason, Lsn end_lsn) HF_EXCLUDES(mutex_);

    // Errors: gap, with a sentence that names the nearest moments that are offered.
    Status check(Lsn at) const HF_EXCLUDES(mutex_);
    // The reasons of the gaps that are open at AT, as a set of bits: what start() needs when the window begins there.
    uint32_t open_at(Lsn at) const HF_EXCLUDES(mutex_);
    // A gap of this reason has begun and not ended.
    bool is_open(hf_gap_reason reason) const HF_EXCLUDES(mutex_);
    // Forgets what ended at or before AT.
    void prune_below(Lsn at) HF_EXCLUDES(mutex_);

private:
    struct Gap {
        hf_gap_reason reason;
        Lsn begin;  // moments up to here are offered; 0: it began before the window
        Lsn end;    // and from here on
    };
    mutable Mutex mutex_;
    std::vector<Gap> gaps_ HF_GUARDED_BY(mutex_);  // by begin
};

}  // namespace holdfast::rewind
