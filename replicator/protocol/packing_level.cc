#include "replicator/protocol/packing_level.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace holdfast::replicator {

namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t ratio_bytes = 16 << 20;
// A stretch in which nothing was asked for says nothing about the link.
constexpr uint64_t pause_ns_max = 5 * second_ns;
// Two batches in a row, because one may be a picture in a directory of texts.
constexpr unsigned failures_max = 2;
// A harder step takes two or three times as long.
constexpr double share_to_step_up = 0.3, share_to_step_down = 0.7;
// What was packed before a step is sent first, which takes one of these.
constexpr unsigned trial_intervals = 2;
// The first is for what batches of a megabyte make of a measurement of two seconds.
constexpr double rate_kept = 0.93, ratio_wanted = 0.98;

}  // namespace

PackingLevel::Choice PackingLevel::next(bool is_link_behind, uint64_t now_ns) {
    const bool is_new = began_ns_ == 0 || now_ns - asked_ns_ > pause_ns_max;
    asked_ns_ = now_ns;
    if (!is_new) {
        was_behind_ |= is_link_behind;
        was_always_behind_ &= is_link_behind;
    }
    const uint64_t elapsed_ns = now_ns - began_ns_;
    if (!is_new && elapsed_ns >= packing_interval_ns) judge(elapsed_ns, now_ns);
    if (is_new || elapsed_ns >= packing_interval_ns) {
        began_ns_ = now_ns;
        interval_bytes_ = interval_stored_bytes_ = interval_spent_ns_ = 0;
        was_behind_ = was_always_behind_ = is_link_behind;
    }
    const int level = packing_levels[step_];
    return {is_link_behind ? level : packing_levels[0], skips_left_ > 0 ? 0 : level};
}

void PackingLevel::judge(uint64_t elapsed_ns, uint64_t now_ns) {
    if (interval_bytes_ == 0) return;
    const double rate = static_cast<double>(interval_bytes_) * second_ns / static_cast<double>(elapsed_ns);
    const double ratio = static_cast<double>(interval_stored_bytes_) / static_cast<double>(interval_bytes_);
    const double share = static_cast<double>(interval_spent_ns_) / static_cast<double>(elapsed_ns);
    if (trial_ > 0) {
        --trial_;
        if (is_refuted(rate, ratio, share)) {
            trial_ = 0;
            rest_until_ns_ = now_ns + rest_ns_;
            rest_ns_ = std::min(2 * rest_ns_, packing_rest_ns_max);
            return step_back();
        }
        if (trial_ > 0) return;
        rest_ns_ = packing_rest_ns;
    }
    if (share > share_to_step_down || !was_behind_) return step_back();
    if (!was_always_behind_ || share > share_to_step_up || now_ns < rest_until_ns_ || step_ + 1 == std::size(packing_levels)) return;
    ++step_;
    trial_ = trial_intervals;
    rate_before_ = rate;
    ratio_before_ = ratio;
}

bool PackingLevel::is_refuted(double rate, double ratio, double share) const {
    if (share > share_to_step_down) return true;
    return trial_ == 0 && (rate < rate_before_ * rate_kept || ratio > ratio_before_ * ratio_wanted);
}

void PackingLevel::step_back() {
    if (step_ > 0) --step_;
}

void PackingLevel::packed(const Packed& batch) {
    level_ = batch.level;
    interval_bytes_ += batch.plain_bytes;
    interval_stored_bytes_ += batch.stored_bytes;
    interval_spent_ns_ += batch.spent_ns;
    plain_bytes_ += batch.plain_bytes;
    stored_bytes_ += batch.stored_bytes;
    if (plain_bytes_ > ratio_bytes) plain_bytes_ /= 2, stored_bytes_ /= 2;
    if (batch.plain_bytes > packing_small_bytes_max) note_shrinking(batch);
}

void PackingLevel::note_shrinking(const Packed& batch) {
    if (batch.level == 0) {
        if (skips_left_ > 0) --skips_left_;
        return;
    }
    if (batch.stored_bytes < batch.plain_bytes) {
        failures_ = skips_ = skips_left_ = 0;
        return;
    }
    if (++failures_ < failures_max) return;
    skips_ = std::min(2 * skips_ + 1, packing_skips_max);
    skips_left_ = skips_;
}

std::optional<uint64_t> PackingLevel::permille() const {
    if (plain_bytes_ == 0) return std::nullopt;
    return stored_bytes_ * 1000 / plain_bytes_;
}

}  // namespace holdfast::replicator
