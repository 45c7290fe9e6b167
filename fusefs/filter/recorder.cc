#include "fusefs/filter/recorder.h"

#include "base/check.h"
#include "base/log.h"

namespace holdfast::fusefs {

using journal::Record;
using journal::Slot;
using journal::SlotState;

namespace {
constexpr uint32_t patience_before_gap_ms = 100;
constexpr uint32_t space_slice_ms = 100;

// in_gap of the in-flight table.
constexpr uint32_t recording = 0, paused = 1;
constexpr uint32_t ending = 2;  // as before, but GAP_END may stand in the journal already
}  // namespace

Recorder::Recorder(const Wiring& wiring)
    : writer_(wiring.writer), table_(wiring.table), clock_(*wiring.clock), policy_(wiring.full_policy), patience_ns_(uint64_t{wiring.degrade_patience_ms} * 1'000'000) {
    if (!table_) return;
    // A successor goes on in the gap that its predecessor began, and what that one had noted is lost; at a new mount the gap has been repaired.
    if (!wiring.resumed) table_->head().in_gap.store(recording);
    const uint32_t left = table_->head().in_gap.load();
    if (left == recording) return;
    dirty_.lose();
    // Nobody was served since that GAP_END, but the map that was empty then is gone with who could have said so.
    if (left == ending) enter_gap(HF_GAP_JOURNAL_FULL, "the process that ended an earlier gap died before it went on");
    in_gap_ = true;
    dirty_.lose();
}

Recorder::Reserved Recorder::reserve(uint32_t length, journal::Writer::Ticket& ticket) {
    if (!is_recording()) return Reserved::unrecorded;
    auto reserved = writer_->reserve(length);
    // A gap costs a comparison of everything: a moment's patience may save it.
    if (!reserved && reserved.error().code == ErrorCode::no_space && policy_ == journal::FullPolicy::stop_protection &&
        writer_->wait_for_space(length, patience_before_gap_ms))
        reserved = writer_->reserve(length);
    if (reserved) {
        ticket = *reserved;
        return Reserved::yes;
    }
    if (reserved.error().code == ErrorCode::no_space) {
        if (policy_ != journal::FullPolicy::stop_protection) return Reserved::no_space;
        enter_gap(HF_GAP_JOURNAL_FULL, reserved.error().message);
    } else {
        enter_gap(HF_GAP_JOURNAL_FAILED, reserved.error().message);
    }
    return Reserved::unrecorded;
}

// On return GAP_BEGIN stands in the journal (or can never stand there), so whatever the caller does unrecorded lies
// behind it.
void Recorder::enter_gap(hf_gap_reason reason, const std::string& sentence) {
    std::lock_guard lock(entering_gap_);
    if (in_gap_.load()) return;
    Record record;
    record.type = HF_GAP_BEGIN;
    gap_since_ns_ = clock_.realtime_ns();
    gap_sentence_ = sentence;
    record.body = journal::Gap{true, reason, gap_since_ns_, sentence};
    dirty_.clear();
    auto appended = writer_->append(record);
    // Durable before the first change that is not recorded.
    Status synced = appended ? writer_->sync(*appended + journal::encoded_length(record.body)) : Status(appended.error());
    if (!synced) log_error("The gap could not be recorded in the journal: " + synced.error().message);
    // What a journal that failed has lost is more than what changes from now on.
    const bool can_heal = synced && reason == HF_GAP_JOURNAL_FULL;
    if (!can_heal) dirty_.lose();
    log_error("HISTORY IS PAUSED: changes are not recorded from now on (" + sentence + "). They are compared and recorded " +
              (can_heal ? "as soon as the journal has room." : "at the next mount."));
    in_gap_.store(true);
    table_->head().in_gap.store(paused);
}

// A successor that finds `ending` does not know whether GAP_END stands in the journal, and begins another gap: two that overlap are one, and
// a moment between the two has nothing unrecorded before it.
Result<journal::Lsn> Recorder::end_gap() {
    std::lock_guard lock(entering_gap_);
    HF_CHECK(in_gap_.load() && !dirty_.is_everything());
    if (is_ending_.load()) return Error{ErrorCode::unavailable, "the mount is ending"};
    Record record;
    record.type = HF_GAP_END;
    record.body = journal::Gap{false, HF_GAP_JOURNAL_FULL, gap_since_ns_, gap_sentence_};
    table_->head().in_gap.store(ending);
    const auto appended = writer_->append(record);
    if (!appended) {
        table_->head().in_gap.store(paused);
        return appended.error();
    }
    const journal::Lsn end = *appended + journal::encoded_length(record.body);
    // Fenced, it stays `ending`: the journal says that the gap is over and cannot be told otherwise, so only recovery can.
    if (Status synced = writer_->sync(end); !synced) {
        dirty_.lose();
        return std::move(synced).error();
    }
    short_since_ns_ = 0;
    in_gap_.store(false);
    table_->head().in_gap.store(recording);
    return end;
}

void Recorder::note_failure(const Status& status) {
    if (!status) enter_gap(HF_GAP_JOURNAL_FAILED, status.error().message);
}

bool Recorder::append(const Record& record) {
    journal::Writer::Ticket ticket;
    const Reserved reserved = reserve(journal::encoded_length(record.body), ticket);
    if (reserved == Reserved::unrecorded) note_unrecorded(record);
    if (reserved == Reserved::yes) note_failure(writer_->commit(ticket, record));
    return reserved != Reserved::no_space;
}

void Recorder::append_or_gap(const Record& record) {
    for (uint32_t waited_ms = 0; !append(record); waited_ms += space_slice_ms) {
        if (is_ending_.load() || waited_ms >= append_patience_ms) {
            enter_gap(HF_GAP_JOURNAL_FULL, "the journal has no room for what has already happened");
            return note_unrecorded(record);
        }
        writer_->wait_for_space(journal::encoded_length(record.body), space_slice_ms);
    }
}

void Recorder::sync() {
    // Up to what is handed out, not only what is published: an operation of another thread with an earlier address may
    // still be on its way, and what was recorded after it is only readable together with it.
    if (is_recording()) note_failure(writer_->sync(table_->head().reserved.load()));
}

bool Recorder::wait_for_space(uint32_t length, uint32_t timeout_ms) {
    if (!is_recording()) return true;
    if (writer_->wait_for_space(length, timeout_ms)) {
        short_since_ns_ = 0;
        return true;
    }
    if (policy_ != journal::FullPolicy::degrade) return false;
    const uint64_t now_ns = clock_.monotonic_ns();
    uint64_t since_ns = 0;
    if (short_since_ns_.compare_exchange_strong(since_ns, now_ns) || now_ns - since_ns < patience_ns_) return false;
    enter_gap(HF_GAP_JOURNAL_FULL, "the journal was full and nobody took anything from it");
    return true;
}

bool Operation::begin(Record intended, uint32_t length, const IntentFacts& facts) {
    HF_CHECK(!is_open_);
    if (!recorder_.is_recording()) {
        recorder_.note_unrecorded(intended, facts.length);
        return true;
    }
    HF_CHECK(slot_);
    // From here on the slot is this operation's: what the last one left is not to be believed any more.
    slot_->state.store(static_cast<uint32_t>(SlotState::idle), std::memory_order_release);
    slot_->request = request_;
    const Recorder::Reserved reserved = recorder_.reserve(length, ticket_);
    if (reserved == Recorder::Reserved::no_space) return false;
    if (reserved == Recorder::Reserved::unrecorded) {
        recorder_.note_unrecorded(intended, facts.length);
        return true;
    }
    is_open_ = true;
    intended.lsn = ticket_.lsn;
    IntentFacts whole = facts;
    whole.begun_ns = recorder_.clock().realtime_ns();
    store_intent(*slot_, intended, ticket_.length, whole);
    return true;
}

void Operation::commit(const Record& happened) {
    if (!is_open_) return;
    is_open_ = false;
    // An error means that the journal is fenced. The operation stays done, and the application is told so (I6).
    recorder_.note_failure(recorder_.writer_->commit(ticket_, happened));
    slot_->state.store(static_cast<uint32_t>(SlotState::recorded), std::memory_order_release);
}

void Operation::abandon() {
    if (!is_open_) return;
    is_open_ = false;
    recorder_.note_failure(recorder_.writer_->abandon(ticket_));
    slot_->state.store(static_cast<uint32_t>(SlotState::idle), std::memory_order_release);
}

}  // namespace holdfast::fusefs
