#include "fusefs/filter/answers.h"

#include "fusefs/filter/intent.h"

namespace holdfast::fusefs {

using journal::Slot;
using journal::SlotState;

OwedAnswers::OwedAnswers(journal::InflightTable* table, bool resumed) {
    if (!table) return;
    for (Slot& slot : table->slots()) {
        const auto state = static_cast<SlotState>(slot.state.load(std::memory_order_acquire));
        if (resumed && state == SlotState::recorded && slot.request != 0) {
            const auto intent = load_intent(slot);
            // What may be carried out again is: it need not be remembered.
            if (intent && !intent->facts.repeatable && owed_.try_emplace(slot.request, Owed{&slot, slot.answer_error}).second)
                continue;
        }
        free_.push_back(&slot);
    }
    any_ = !owed_.empty();
}

std::optional<int> OwedAnswers::find(uint64_t request) {
    if (!any_.load()) return std::nullopt;
    std::lock_guard lock(mutex_);
    const auto at = owed_.find(request);
    if (at == owed_.end()) return std::nullopt;
    return at->second.error;
}

void OwedAnswers::free_locked(Slot* slot) {
    slot->state.store(static_cast<uint32_t>(SlotState::idle), std::memory_order_release);
    free_.push_back(slot);
}

void OwedAnswers::answered(uint64_t request) {
    std::lock_guard lock(mutex_);
    const auto at = owed_.find(request);
    if (at == owed_.end()) return;
    free_locked(at->second.slot);
    owed_.erase(at);
    any_ = !owed_.empty();
}

void OwedAnswers::all_were_read(const Clock& clock) {
    if (!any_.load(std::memory_order_relaxed)) return;
    uint64_t never = 0;
    read_at_ns_.compare_exchange_strong(never, clock.monotonic_ns());
}

void OwedAnswers::tick(uint64_t now_ns) {
    const uint64_t read_at = read_at_ns_.load();
    if (!any_.load() || read_at == 0 || now_ns - read_at < owed_answers_kept_ns) return;
    std::lock_guard lock(mutex_);
    for (auto& [request, owed] : owed_) free_locked(owed.slot);
    owed_.clear();
    any_ = false;
}

Slot* OwedAnswers::take_slot() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) return nullptr;
    Slot* slot = free_.back();
    free_.pop_back();
    return slot;
}

}  // namespace holdfast::fusefs
