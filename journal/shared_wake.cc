#include "journal/shared_wake.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace holdfast::journal {

static_assert(sizeof(SharedWake) == 2 * sizeof(uint32_t));

void SharedWake::wake() {
    if (waiters_.load() == 0 || waiters_.exchange(0) == 0) return;
    word_.fetch_add(1);
    ::syscall(SYS_futex, &word_, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

// Comes back early as it likes.
void SharedWake::sleep(uint32_t expected, uint64_t timeout_ns) {
    const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000), static_cast<long>(timeout_ns % 1'000'000'000)};
    ::syscall(SYS_futex, &word_, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

uint64_t SharedWake::now_ns() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace holdfast::journal
