// Of a first copy: commits what was copied and tells the progress, now and then.
// Ownership: borrows everything. Thread rule: one thread.
#pragma once

#include "base/clock.h"
#include "rewind/baseline_sink.h"
#include "rewind/reconcile/first_copy.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

inline constexpr uint64_t commit_every_ns = 5'000'000'000;
inline constexpr uint64_t report_every_ns = 400'000'000;

class Pulse {
public:
    Pulse(BaselineSink& sink, const FirstCopyReport& report, const Clock& clock, const ProgressSink& progress)
        : sink_(sink), report_(report), clock_(clock), progress_(progress) {}

    // Errors: the sink's; unavailable: asked to stop.
    Status tell() {
        if (clock_.monotonic_ns() - committed_ns_ >= commit_every_ns) {
            HF_TRY(sink_.commit());
            committed_ns_ = clock_.monotonic_ns();
        }
        if (!report()) return stopped();
        return ok();
    }

    // False: asked to stop.
    bool report() {
        const uint64_t now = clock_.monotonic_ns();
        if (!progress_ || now - told_ns_ < report_every_ns) return true;
        told_ns_ = now;
        return progress_({report_.objects, report_.bytes, 0, 0});
    }

    static Error stopped() { return {ErrorCode::unavailable, "the first copy was asked to stop; it will be continued"}; }

private:
    BaselineSink& sink_;
    const FirstCopyReport& report_;
    const Clock& clock_;
    const ProgressSink& progress_;
    uint64_t committed_ns_ = clock_.monotonic_ns();
    uint64_t told_ns_ = 0;
};

}  // namespace holdfast::rewind
