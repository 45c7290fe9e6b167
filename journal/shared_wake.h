// Waiting, across processes, for words in shared memory to change. Whoever changes them calls wake(); it costs a load while
// nobody waits.
//
// The words beside it are atomics, stored before wake() and read by wait()'s condition. All of it may be stale or written by a
// process that is gone: who waits has a time limit, and never more than that is lost.
// Thread rule: any thread of any process that has it mapped. All zeros is the initial state.
#pragma once

#include <atomic>
#include <cstdint>

namespace holdfast::journal {

class SharedWake {
public:
    // Returns when HOLDS() is true or TIMEOUT_NS has passed; the last word is HOLDS()'s.
    template <typename Holds>
    bool wait(uint64_t timeout_ns, Holds holds) {
        const uint64_t deadline_ns = now_ns() + timeout_ns;
        for (;;) {
            // The order matters: (1) read the word, (2) announce the wait, (3) look once more. Who changes something stores
            // it, then looks for the announcement, then changes the word. Whichever way the two interleave, either (3)
            // sees what is new or the word has changed since (1) and the kernel does not let us sleep.
            const uint32_t word = word_.load();
            waiters_.store(1);
            if (holds()) return true;
            const uint64_t now = now_ns();
            if (now >= deadline_ns) return false;
            sleep(word, deadline_ns - now);
        }
    }
    void wake();
    uint32_t wakes() const { return word_.load(); }

private:
    static uint64_t now_ns();
    void sleep(uint32_t expected, uint64_t timeout_ns);

    std::atomic<uint32_t> word_;     // a futex
    // A flag and not a count: one who is killed while it waits costs one wake too many, where a count would stay up for ever.
    std::atomic<uint32_t> waiters_;
};

}  // namespace holdfast::journal
