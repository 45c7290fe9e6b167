#include "rewind/heal/heal_target.h"

#include <chrono>
#include <thread>

#include "base/check.h"
#include "base/clock.h"

namespace holdfast::rewind {

namespace {

constexpr auto room_pause = std::chrono::milliseconds(50);
constexpr auto apply_pause = std::chrono::milliseconds(1);

}  // namespace

Status HealTarget::append(const journal::Record& record) {
    starts_.push_back(unsent_.size());
    journal::add_record(unsent_, record);
    return unsent_.size() < heal_send_bytes ? ok() : flush();
}

Status HealTarget::flush() {
    const uint64_t began_ns = system_clock().monotonic_ns();
    while (!starts_.empty()) {
        const auto answer = HF_TRY(pipe_.ask(journal::HealVerb::records, unsent_, heal_answer_ms_max));
        const journal::HealAppended done = HF_TRY(journal::decode_appended(answer));
        if (done.records > starts_.size()) return Error{ErrorCode::corrupt, "the capture worker recorded more than it was told"};
        end_ = done.end;
        if (done.records == starts_.size()) {
            unsent_.clear();
            starts_.clear();
            return ok();
        }
        const size_t sent = starts_[done.records];
        unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(sent));
        starts_.erase(starts_.begin(), starts_.begin() + static_cast<ptrdiff_t>(done.records));
        for (size_t& start : starts_) start -= sent;
        // What is applied and saved goes from the journal, and makes room for the rest.
        if (is_hurried_ || host_.is_ending() || system_clock().monotonic_ns() - began_ns > heal_room_wait_ns)
            return Error{ErrorCode::no_space, "the journal has no room for what differs"};
        while (HF_TRY(host_.apply_some()) > 0) {
        }
        HF_TRY(host_.save());
        std::this_thread::sleep_for(room_pause);
    }
    return ok();
}

Status HealTarget::settle() {
    forget_open();
    HF_TRY(flush());
    const uint64_t began_ns = system_clock().monotonic_ns();
    while (applied_in_.applied() < end_) {
        if (HF_TRY(host_.apply_some()) > 0) continue;
        if (host_.is_ending()) return Error{ErrorCode::unavailable, "the store service is ending"};
        if (system_clock().monotonic_ns() - began_ns > heal_apply_wait_ns)
            return Error{ErrorCode::unavailable, "what was recorded does not become readable"};
        std::this_thread::sleep_for(apply_pause);
    }
    return ok();
}

Result<ObjectId> HealTarget::fresh_id() {
    HF_TRY(flush());
    // An address of the stream is used once, and origin 0 belongs to no host.
    return ObjectId{end_, 0, 0};
}

}  // namespace holdfast::rewind
