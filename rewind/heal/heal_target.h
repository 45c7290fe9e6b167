// The image of a store whose journal another process writes, behind a repair: answers come from the image, records go to the capture worker,
// and settling waits until the store has applied them.
//
// Ownership: borrows the store, the pipe and the host. Thread rule: one thread, the follower's.
#pragma once

#include "journal/healing.h"
#include "rewind/reconcile/image_answers.h"

namespace holdfast::rewind {

inline constexpr size_t heal_send_bytes = 1 << 20;
inline constexpr uint64_t heal_room_wait_ns = 15'000'000'000;   // for room in the journal
inline constexpr uint64_t heal_apply_wait_ns = 10'000'000'000;  // for what was recorded to be readable
inline constexpr int heal_answer_ms_max = 30'000;

// Who follows the journal.
class HealHost {
public:
    virtual ~HealHost() = default;
    // Applies one batch of what is published. Returns the bytes taken; 0: there was nothing.
    virtual Result<uint64_t> apply_some() = 0;
    // Makes what is applied durable, so that the journal may forget it.
    virtual Status save() = 0;
    virtual bool is_ending() const = 0;
};

class HealTarget final : public ImageAnswers {
public:
    // END: behind the last record of the journal.
    HealTarget(const Store& store, journal::HealPipe& pipe, HealHost& host, journal::Lsn end) : ImageAnswers(store), applied_in_(store), pipe_(pipe), host_(host), end_(end) {}

    Status append(const journal::Record& record) override;
    Status settle() override;
    Result<ObjectId> fresh_id() override;
    // Everything appended stands in the journal. Errors: no_space (there is no room for longer than heal_room_wait_ns), io, unavailable.
    Status flush();
    // Everybody waits for this pass: nothing is saved meanwhile.
    void hurry() { is_hurried_ = true; }

private:
    const Store& applied_in_;
    journal::HealPipe& pipe_;
    HealHost& host_;
    journal::Lsn end_;
    bool is_hurried_ = false;
    std::vector<std::byte> unsent_;
    std::vector<size_t> starts_;  // of the records in it
};

}  // namespace holdfast::rewind
