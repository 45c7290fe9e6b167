// Time as a value that is handed in, so that tests advance it instead of sleeping. Nanoseconds throughout.
// Thread rule: every method may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace holdfast {

class Clock {
public:
    virtual ~Clock() = default;
    virtual uint64_t realtime_ns() const = 0;   // since 1970, may jump
    virtual uint64_t monotonic_ns() const = 0;  // since some start, never goes back
};

// The system's clocks. One instance serves the whole process.
Clock& system_clock();

class ManualClock final : public Clock {
public:
    explicit ManualClock(uint64_t start_ns) : now_ns_(start_ns) {}
    uint64_t realtime_ns() const override { return now_ns_; }
    uint64_t monotonic_ns() const override { return now_ns_; }
    void advance(uint64_t by_ns) { now_ns_ += by_ns; }

private:
    std::atomic<uint64_t> now_ns_;
};

}  // namespace holdfast
