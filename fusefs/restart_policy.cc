#include "fusefs/restart_policy.h"

#include <algorithm>

namespace holdfast::fusefs {

constexpr uint64_t failed_start_delay_ns = 50'000'000;

bool WorkerRestarts::may_restart(bool had_served, uint64_t now_ns) {
    if (!had_served) return ++failed_starts_ <= worker_failed_starts_max;
    failed_starts_ = 0;
    deaths_.push_back(now_ns);
    while (deaths_.front() + worker_deaths_window_ns <= now_ns) deaths_.pop_front();
    return deaths_.size() <= worker_deaths_max;
}

uint64_t WorkerRestarts::delay_ns() const { return failed_starts_ == 0 ? 0 : failed_start_delay_ns; }

uint64_t ServiceRestarts::next_start_ns(uint64_t started_ns, uint64_t now_ns) {
    if (now_ns - started_ns >= service_is_well_after_ns) delay_ns_ = service_restart_delay_min_ns;
    const uint64_t next = now_ns + delay_ns_;
    delay_ns_ = std::min(delay_ns_ * 2, service_restart_delay_max_ns);
    return next;
}

}  // namespace holdfast::fusefs
