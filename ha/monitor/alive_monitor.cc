#include "ha/monitor/alive_monitor.h"

#include <algorithm>

namespace holdfast::ha {

bool AliveMonitor::is_due(uint64_t now_ns) {
    tick(now_ns);
    if (round_ || is_suspended(now_ns)) return false;
    return last_began_ns_ == 0 || now_ns >= last_began_ns_ + rules_.interval_ns;
}

uint64_t AliveMonitor::begin_round(uint64_t now_ns) {
    if (was_suspended_ || (last_began_ns_ != 0 && now_ns > last_began_ns_ + 2 * rules_.interval_ns)) begin_anew();
    was_suspended_ = false;
    last_began_ns_ = now_ns;
    round_.emplace(Round{++last_id_, now_ns, {}, {}, {}});
    return last_id_;
}

void AliveMonitor::take(uint64_t round, AliveLevel level, bool is_alive, std::string why, uint64_t now_ns) {
    tick(now_ns);
    if (!round_ || round_->id != round || !rules_.asks_for(level)) return;
    auto& answer = round_->answers[static_cast<size_t>(level)];
    if (answer) return;
    answer = is_alive;
    std::string& text = is_alive ? round_->found : round_->failure;
    text += (text.empty() ? "" : "; ") + std::string(to_string(level)) + ": " + why;
    if (has_answers(*round_)) conclude(now_ns);
}

void AliveMonitor::tick(uint64_t now_ns) {
    if (is_suspended(now_ns)) {
        was_suspended_ = true;
        round_.reset();
    }
    if (!round_ || now_ns < round_->began_ns + rules_.round_ns_max()) return;
    for (const AliveLevel level : alive_levels)
        if (rules_.asks_for(level) && !round_->answers[static_cast<size_t>(level)])
            round_->failure += (round_->failure.empty() ? "" : "; ") + std::string(to_string(level)) + ": no answer in time";
    conclude(now_ns);
}

uint64_t AliveMonitor::wake_ns() const {
    if (round_) return round_->began_ns + rules_.round_ns_max();
    return std::max(suspended_until_ns_, last_began_ns_ == 0 ? 0 : last_began_ns_ + rules_.interval_ns);
}

void AliveMonitor::resume(uint64_t now_ns) {
    was_suspended_ |= is_suspended(now_ns);
    suspended_until_ns_ = 0;
}

bool AliveMonitor::has_answers(const Round& round) const {
    return std::all_of(alive_levels.begin(), alive_levels.end(), [&](AliveLevel level) { return !rules_.asks_for(level) || round.answers[static_cast<size_t>(level)]; });
}

void AliveMonitor::conclude(uint64_t now_ns) {
    const Round round = std::move(*round_);
    round_.reset();
    ++state_.rounds;
    if (round.failure.empty()) {
        last_good_ns_ = round.began_ns;
        state_ = {Verdict::alive, state_.rounds, 0, 0, round.found};
        return;
    }
    if (state_.failed_rounds++ == 0) state_.failing_since_ns = last_good_ns_ ? last_good_ns_ : round.began_ns;
    const bool is_lost = now_ns - state_.failing_since_ns >= rules_.timeout_ns && state_.failed_rounds >= rounds_min;
    state_.verdict = is_lost ? Verdict::lost : Verdict::failing;
    state_.why = round.failure;
}

// Nobody looked in between: whatever failed before may have been well since.
void AliveMonitor::begin_anew() {
    const uint64_t rounds = state_.rounds;
    state_ = State();
    state_.rounds = rounds;
    last_good_ns_ = 0;
}

const char* to_string(AliveMonitor::Verdict verdict) {
    switch (verdict) {
        case AliveMonitor::Verdict::unknown: return "unknown";
        case AliveMonitor::Verdict::alive: return "alive";
        case AliveMonitor::Verdict::failing: return "failing";
        case AliveMonitor::Verdict::lost: return "lost";
    }
    return "?";
}

}  // namespace holdfast::ha
