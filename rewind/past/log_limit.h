// Sentences that any user can cause (by looking up a moment that does not exist) must not fill the log: at most
// log_burst_max in log_period_ns, then how many were left out.
// Thread rule: any thread.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::rewind {

inline constexpr uint32_t log_burst_max = 20;
inline constexpr uint64_t log_period_ns = 60'000'000'000;

class LogLimit {
public:
    explicit LogLimit(const Clock& clock) : clock_(clock) {}
    void warn(std::string_view sentence);

private:
    const Clock& clock_;
    Mutex mutex_;
    uint64_t period_start_ns_ HF_GUARDED_BY(mutex_) = 0;
    uint32_t written_ HF_GUARDED_BY(mutex_) = 0;
    uint32_t left_out_ HF_GUARDED_BY(mutex_) = 0;
};

}  // namespace holdfast::rewind
