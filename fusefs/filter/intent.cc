#include "fusefs/filter/intent.h"

#include <cstring>

#include "base/check.h"

namespace holdfast::fusefs {

using journal::Slot;
using journal::SlotState;

void store_intent(Slot& slot, const journal::Record& record, uint32_t length, const IntentFacts& facts, SlotState state) {
    const uint32_t record_bytes = journal::encoded_length(record.body);
    HF_CHECK(record_bytes + sizeof facts <= journal::inflight_intent_bytes_max);
    const journal::EncodedRecord encoded(record, record_bytes);
    size_t offset = 0;
    for (const ByteSpan& piece : encoded.pieces()) {
        HF_CHECK(offset + piece.size() <= record_bytes);
        std::memcpy(slot.intent + offset, piece.data(), piece.size());
        offset += piece.size();
    }
    std::memset(slot.intent + offset, 0, record_bytes - offset);
    std::memcpy(slot.intent + record_bytes, &facts, sizeof facts);
    slot.intent_length = static_cast<uint32_t>(record_bytes + sizeof facts);
    slot.length = length;
    slot.lsn = record.lsn;
    slot.answer_error = 0;
    slot.answer_value = 0;
    // Everything above is in place before anybody may believe it: the table outlives this process at any instant.
    slot.state.store(static_cast<uint32_t>(state), std::memory_order_release);
}

Result<Intent> load_intent(const Slot& slot) {
    const auto corrupt = [] { return Error{ErrorCode::corrupt, "an intent in the in-flight table makes no sense"}; };
    if (slot.intent_length < sizeof(hf_record_header) + sizeof(IntentFacts) ||
        slot.intent_length > journal::inflight_intent_bytes_max)
        return corrupt();
    const size_t record_bytes = slot.intent_length - sizeof(IntentFacts);
    if (record_bytes % HF_RECORD_ALIGNMENT != 0) return corrupt();
    auto record = journal::decode_record(ByteSpan(slot.intent, record_bytes), slot.lsn);
    if (!record || record->length != record_bytes) return corrupt();
    Intent intent{std::move(*record), {}};
    std::memcpy(&intent.facts, slot.intent + record_bytes, sizeof intent.facts);
    return intent;
}

}  // namespace holdfast::fusefs
