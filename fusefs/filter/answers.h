// Answers that a predecessor owes: operations that were carried out and recorded when it died, before the kernel had their
// answer. The kernel sends those requests again; they must not be carried out twice.
//
// Their slots stay as they are until the answer is given, because this process may die in its turn. Meanwhile its threads
// use other slots. A slot whose request never comes (its answer had been sent after all) is freed once all requests
// that were sent again have been read, and a moment has passed in which they were answered.
//
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "journal/inflight.h"

namespace holdfast::fusefs {

inline constexpr uint64_t owed_answers_kept_ns = 2'000'000'000;

class OwedAnswers {
public:
    // Takes in what the slots of TABLE (may be null) say; without RESUMED nothing is owed.
    OwedAnswers(journal::InflightTable* table, bool resumed);

    // The errno of the answer to REQUEST, if it was carried out.
    std::optional<int> find(uint64_t request);
    void answered(uint64_t request);

    // A request that was not sent again was read: those sent again came before it.
    void all_were_read(const Clock& clock);
    void tick(uint64_t now_ns);

    // A slot for a thread, or null while all are taken.
    journal::Slot* take_slot();

private:
    struct Owed {
        journal::Slot* slot;
        int error;
    };
    void free_locked(journal::Slot* slot);

    std::atomic<bool> any_ = false;
    std::atomic<uint64_t> read_at_ns_ = 0;
    std::mutex mutex_;
    std::unordered_map<uint64_t, Owed> owed_;  // by request
    std::vector<journal::Slot*> free_;
};

}  // namespace holdfast::fusefs
