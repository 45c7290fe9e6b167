#include "replicator/protocol/fork_search.h"

#include "base/check.h"
#include "journal/format.h"

namespace holdfast::replicator {

std::optional<Lsn> ForkSearch::question() const {
    switch (stage_) {
        case Stage::newest: return high_;
        case Stage::oldest: return low_;
        case Stage::halving: {
            // Records begin at multiples of the alignment; between two of them there is nothing to ask.
            const Lsn middle = low_ + (high_ - low_) / 2;
            return middle - middle % HF_RECORD_ALIGNMENT > low_ ? middle - middle % HF_RECORD_ALIGNMENT : high_ - HF_RECORD_ALIGNMENT;
        }
        case Stage::over: break;
    }
    return std::nullopt;
}

void ForkSearch::answer(const std::optional<Position>& ours, const std::optional<Position>& theirs) {
    const auto asked = question();
    HF_CHECK(asked.has_value());
    const bool is_equal = ours && theirs && *ours == *theirs;
    if (is_equal) {
        shared_ = *ours;
        low_ = *asked;
    } else {
        high_ = *asked;
    }
    if (stage_ == Stage::newest)
        stage_ = is_equal || high_ <= low_ ? Stage::over : Stage::oldest;
    else if (stage_ == Stage::oldest && !is_equal)
        stage_ = Stage::over;  // they differ from the first address on that both keep
    else
        stage_ = high_ - low_ <= HF_RECORD_ALIGNMENT ? Stage::over : Stage::halving;
}

}  // namespace holdfast::replicator
