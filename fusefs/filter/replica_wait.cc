#include "fusefs/filter/replica_wait.h"

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "fusefs/filter/caller.h"

namespace holdfast::fusefs {

using journal::DurabilityMode;
using journal::Lsn;

namespace {

constexpr uint64_t asleep_ns = 60'000'000'000;

bool was_alone(const Wiring& wiring) {
    return wiring.table && (wiring.begins_alone || wiring.table->head().acknowledged.state.is_alone());
}

// Those of ANSWERS from BEGIN to END of which IS_IT(answer) says so; the others of them change their places.
template <typename Answers, typename IsIt>
Answers take_out(Answers& answers, size_t begin, size_t end, IsIt is_it) {
    const auto last = answers.begin() + static_cast<std::ptrdiff_t>(end);
    const auto first = std::partition(answers.begin() + static_cast<std::ptrdiff_t>(begin), last, [&](const auto& one) { return !is_it(one); });
    Answers taken(first, last);
    answers.erase(first, last);
    return taken;
}

}  // namespace

ReplicaWait::ReplicaWait(const Wiring& wiring, Recorder& recorder, const Device& device)
    : recorder_(recorder), device_(device), clock_(*wiring.clock), table_(wiring.table), policy_(wiring.durability, was_alone(wiring)) {
    if (!table_) return;
    waits_ = wiring.durability.waits();
    {
        MutexLock lock(mutex_);
        publish_state_locked();
    }
    thread_ = std::thread([this] { run(); });
}

ReplicaWait::~ReplicaWait() {
    {
        MutexLock lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

Lsn ReplicaWait::begin() const {
    // Up to what is handed out, for the reason that Recorder::sync() has.
    return waits_.load() && recorder_.is_recording() ? table_->head().reserved.load() : 0;
}

Answer ReplicaWait::finish(const Request& request, Lsn below, const Answer& answer) {
    if (below == 0) return answer;
    MutexLock lock(mutex_);
    for (;;) {
        look_locked();
        if (policy_.lets_go(below) || !recorder_.is_recording()) return answer;
        if (is_over_) return Answer::none();
        if (held_.size() < held_answers_max) break;
        changed_.wait_for(mutex_, std::chrono::nanoseconds(killed_check_ns));
    }
    held_.push_back({request.header().unique, request.header().pid, below, answer});
    publish_state_locked();
    return Answer::none();
}

void ReplicaWait::change(const journal::Durability& durability) {
    if (!table_) return;
    {
        MutexLock lock(mutex_);
        policy_.change(durability, see(durability.mode));
        waits_ = durability.waits();
        publish_state_locked();
    }
    changed_.notify_all();
}

// The acknowledgements, then the end: in this order none that is true lies beyond it.
DurabilityPolicy::Seen ReplicaWait::see(DurabilityMode mode) const {
    const journal::SharedHead& head = table_->head();
    DurabilityPolicy::Seen seen;
    seen.acknowledged = head.acknowledged.acknowledged(mode, head.published);
    seen.published = head.published.load();
    seen.now_ns = clock_.monotonic_ns();
    return seen;
}

void ReplicaWait::look_locked() {
    policy_.look(see(policy_.durability().mode), !held_.empty());
    publish_state_locked();
}

// The number of changes last: who sees it odd or even also sees why.
void ReplicaWait::publish_state_locked() {
    journal::DurabilityState& state = table_->head().acknowledged.state;
    const journal::Durability& durability = policy_.durability();
    state.mode.store(static_cast<uint32_t>(durability.mode));
    state.degrade_after_ns.store(durability.degrade_after_ns);
    state.waiting.store(held_.size());
    if (state.is_alone() == policy_.is_alone()) return;
    state.changes.fetch_add(1);
    if (policy_.is_alone()) log_warning("No replica keeps up or answers: fsync " + std::string(durability.blocks() ? "waits until one does." : "does not wait for one until one has caught up."));
    else log_info("A replica has everything again that was fsynced, or none is waited for any more.");
}

std::vector<ReplicaWait::Held> ReplicaWait::take_released_locked() {
    const Lsn free_below = recorder_.is_recording() ? policy_.free_below() : journal::lsn_max;
    return take_out(held_, 0, held_.size(), [&](const Held& one) { return one.below <= free_below; });
}

// Looked up again and again, because an INTERRUPT comes once, and may come before its answer is held.
std::vector<ReplicaWait::Held> ReplicaWait::take_killed_locked() {
    const uint64_t now_ns = clock_.monotonic_ns();
    if (now_ns - killed_checked_ns_ < killed_check_ns) return {};
    killed_checked_ns_ = now_ns;
    const size_t begin = killed_checked_ < held_.size() ? killed_checked_ : 0;
    killed_checked_ = begin + std::min(held_.size() - begin, killed_checks_max);
    std::vector<Held> killed = take_out(held_, begin, killed_checked_, [](const Held& one) { return is_being_killed(one.pid); });
    for (Held& one : killed) one.answer = Answer::error(EINTR);
    return killed;
}

// Acknowledgements end the nap; the rest is seen a little later.
uint64_t ReplicaWait::nap_ns_locked() const {
    const auto deadline_ns = policy_.deadline_ns(!held_.empty());
    const uint64_t now_ns = clock_.monotonic_ns();
    return deadline_ns ? std::clamp<uint64_t>(*deadline_ns - std::min(*deadline_ns, now_ns), 1, killed_check_ns) : killed_check_ns;
}

void ReplicaWait::run() {
    uint64_t nap_ns = 0;
    std::vector<Held> due;
    // The condition of the nap, so that whatever comes after this look ends it.
    const auto has_due = [&] {
        MutexLock lock(mutex_);
        look_locked();
        due = take_released_locked();
        if (due.empty()) due = take_killed_locked();
        if (!due.empty()) publish_state_locked();
        nap_ns = nap_ns_locked();
        return !due.empty() || is_over_;
    };
    for (;;) {
        {
            MutexLock lock(mutex_);
            while (!is_over_ && !policy_.durability().waits() && held_.empty()) changed_.wait_for(mutex_, std::chrono::nanoseconds(asleep_ns));
        }
        if (is_over_) return;
        table_->head().acknowledged.wake.wait(nap_ns, has_due);
        for (const Held& one : due) device_.send(one.unique, one.answer);
        if (!due.empty()) changed_.notify_all();
        due.clear();
    }
}

}  // namespace holdfast::fusefs
