#include "rewind/gaps.h"

#include <algorithm>

namespace holdfast::rewind {

namespace {

bool closes(hf_gap_reason ended, hf_gap_reason open) {
    if (ended == open) return true;
    const bool nothing_was_mounted = ended == HF_GAP_HOST_CRASH || ended == HF_GAP_NOT_MOUNTED || ended == HF_GAP_JOURNAL_DAMAGED;
    return nothing_was_mounted || (ended != HF_GAP_BYPASS && open != HF_GAP_BYPASS);
}

}  // namespace

void Gaps::start(uint32_t open) {
    const MutexLock lock(mutex_);
    gaps_.clear();
    for (uint32_t reason = 0; reason < 32; ++reason)
        if (open >> reason & 1) gaps_.push_back({static_cast<hf_gap_reason>(reason), 0, journal::lsn_max});
}

void Gaps::begin(hf_gap_reason reason, Lsn lsn) {
    const MutexLock lock(mutex_);
    // Told twice: once by recovery, once as the record is applied again.
    for (const Gap& gap : gaps_)
        if (gap.reason == reason && gap.begin == lsn) return;
    gaps_.push_back({reason, lsn, journal::lsn_max});
}

void Gaps::end(hf_gap_reason reason, Lsn end_lsn) {
    const MutexLock lock(mutex_);
    for (Gap& gap : gaps_)
        if (gap.end == journal::lsn_max && gap.begin < end_lsn && closes(reason, gap.reason)) gap.end = end_lsn;
}

Status Gaps::check(Lsn at) const {
    const MutexLock lock(mutex_);
    for (const Gap& gap : gaps_) {
        if (at <= gap.begin || at >= gap.end) continue;
        std::string sentence = "lsn " + std::to_string(at) + " lies in an interval in which changes were not captured";
        if (gap.begin != 0) sentence += "; the last moment before it is lsn:" + std::to_string(gap.begin);
        if (gap.end != journal::lsn_max) sentence += "; the first moment after it is lsn:" + std::to_string(gap.end);
        if (gap.end == journal::lsn_max) sentence += "; it has not ended yet";
        return Error{ErrorCode::gap, sentence};
    }
    return ok();
}

uint32_t Gaps::open_at(Lsn at) const {
    const MutexLock lock(mutex_);
    uint32_t open = 0;
    for (const Gap& gap : gaps_)
        if (gap.begin < at && at < gap.end) open |= 1u << gap.reason;
    return open;
}

bool Gaps::is_open(hf_gap_reason reason) const {
    const MutexLock lock(mutex_);
    return std::any_of(gaps_.begin(), gaps_.end(), [&](const Gap& gap) { return gap.reason == reason && gap.end == journal::lsn_max; });
}

void Gaps::prune_below(Lsn at) {
    const MutexLock lock(mutex_);
    std::erase_if(gaps_, [&](const Gap& gap) { return gap.end <= at; });
}

}  // namespace holdfast::rewind
