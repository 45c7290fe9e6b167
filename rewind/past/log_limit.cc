#include "rewind/past/log_limit.h"

#include <string>

#include "base/log.h"

namespace holdfast::rewind {

void LogLimit::warn(std::string_view sentence) {
    const uint64_t now_ns = clock_.monotonic_ns();
    MutexLock lock(mutex_);
    if (now_ns - period_start_ns_ > log_period_ns) {
        if (left_out_ > 0) log_warning(std::to_string(left_out_) + " further messages of this kind were left out.");
        period_start_ns_ = now_ns;
        written_ = left_out_ = 0;
    }
    if (written_ == log_burst_max) {
        ++left_out_;
        return;
    }
    ++written_;
    log_warning(sentence);
}

}  // namespace holdfast::rewind
