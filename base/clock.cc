#include "base/clock.h"

#include <ctime>

namespace holdfast {
namespace {

uint64_t read_clock_ns(clockid_t id) {
    timespec now{};
    clock_gettime(id, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

class SystemClock final : public Clock {
public:
    uint64_t realtime_ns() const override { return read_clock_ns(CLOCK_REALTIME); }
    uint64_t monotonic_ns() const override { return read_clock_ns(CLOCK_MONOTONIC); }
};

}  // namespace

Clock& system_clock() {
    static SystemClock clock;
    return clock;
}

}  // namespace holdfast
