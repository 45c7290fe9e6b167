#include "replicator/engine/lag.h"

namespace holdfast::replicator {

void LagMeter::published(journal::Lsn end, uint64_t now_ns) {
    if (!first_) first_ = end;
    if (end <= applied_ || (!marks_.empty() && end <= marks_.back().end)) return;
    if (!marks_.empty() && now_ns - marks_.back().time_ns < spacing_ns) {
        marks_.back().end = end;
        return;
    }
    if (marks_.size() == marks_max) {
        std::deque<Mark> merged;
        for (size_t i = 0; i + 1 < marks_.size(); i += 2) merged.push_back({marks_[i + 1].end, marks_[i].time_ns});
        marks_.swap(merged);
    }
    marks_.push_back({end, now_ns});
}

void LagMeter::applied(journal::Lsn end) {
    applied_ = end;
    while (!marks_.empty() && marks_.front().end <= end) marks_.pop_front();
}

std::optional<uint64_t> LagMeter::lag_ns(uint64_t now_ns) const {
    if (!first_ || applied_ < *first_) return std::nullopt;
    return marks_.empty() ? 0 : now_ns - marks_.front().time_ns;
}

}  // namespace holdfast::replicator
