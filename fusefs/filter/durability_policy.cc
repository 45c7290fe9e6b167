#include "fusefs/filter/durability_policy.h"

namespace holdfast::fusefs {
namespace {

bool is_near(const DurabilityPolicy::Seen& seen) {
    return seen.acknowledged + near_bytes >= seen.published;
}

}  // namespace

void DurabilityPolicy::change(const journal::Durability& durability, const Seen& seen) {
    const bool began_to_wait = !durability_.waits() && durability.waits();
    durability_ = durability;
    acknowledged_ = seen.acknowledged;
    quiet_since_ns_ = seen.now_ns;
    if (began_to_wait) state_ = is_near(seen) ? State::together : State::alone;
}

void DurabilityPolicy::look(const Seen& seen, bool somebody_waits) {
    const bool has_progressed = seen.acknowledged > acknowledged_;
    acknowledged_ = seen.acknowledged;
    if (has_progressed || !somebody_waits) quiet_since_ns_ = seen.now_ns;
    // A replica that went away while it was near is no nearer for that: it must say something.
    if (state_ == State::alone && has_progressed && is_near(seen)) {
        state_ = State::returning;
        goal_ = seen.published;
    }
    const bool has_it_all = acknowledged_ >= (state_ == State::returning ? goal_ : seen.published);
    if (has_it_all) state_ = State::together;
    else if (seen.now_ns - quiet_since_ns_ >= patience_ns()) state_ = State::alone;
}

std::optional<uint64_t> DurabilityPolicy::deadline_ns(bool somebody_waits) const {
    if (!somebody_waits || !waits() || state_ == State::alone) return std::nullopt;
    return quiet_since_ns_ + patience_ns();
}

}  // namespace holdfast::fusefs
