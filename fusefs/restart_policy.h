// How often a child that dies is started again. A pure decision: the caller tells of deaths and asks what to do.
//
// A worker that serves and dies now and then is started at once, because applications wait meanwhile. One that dies
// again and again, on a request that kills every worker or before it serves at all, would keep them waiting for ever;
// beyond the limits the answer is to give up.
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <deque>

namespace holdfast::fusefs {

inline constexpr unsigned worker_deaths_max = 100;               // within worker_deaths_window_ns
inline constexpr uint64_t worker_deaths_window_ns = 10'000'000'000;
inline constexpr unsigned worker_failed_starts_max = 20;         // one after the other, none of which got to serve

// For the store service, which may take its time: nobody waits for it.
inline constexpr uint64_t service_restart_delay_min_ns = 20'000'000;
inline constexpr uint64_t service_restart_delay_max_ns = 1'000'000'000;
inline constexpr uint64_t service_is_well_after_ns = 5'000'000'000;

class WorkerRestarts {
public:
    // A worker died at NOW. True: start another; false: give up.
    bool may_restart(bool had_served, uint64_t now_ns);
    // How long to wait before that: failed starts are spread out, a worker that had served is replaced at once.
    uint64_t delay_ns() const;

private:
    std::deque<uint64_t> deaths_;  // of workers that had served, the latest worker_deaths_max + 1
    unsigned failed_starts_ = 0;
};

class ServiceRestarts {
public:
    // A service that was started at STARTED died at NOW: the time at which to start the next.
    uint64_t next_start_ns(uint64_t started_ns, uint64_t now_ns);

private:
    uint64_t delay_ns_ = service_restart_delay_min_ns;
};

}  // namespace holdfast::fusefs
