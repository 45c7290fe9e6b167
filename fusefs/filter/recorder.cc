#include "fusefs/filter/recorder.h"

#include <utility>

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
constexpr uint32_t beginning = 3;  // everything is recorded until now, but GAP_BEGIN may stand in a journal that is full
}  // namespace

Recorder::Recorder(const Wiring& wiring)
    : writer_(wiring.writer), table_(wiring.table), clock_(*wiring.clock), policy_(wiring.full_policy), patience_ns_(uint64_t{wiring.degrade_patience_ms} * 1'000'000) {
    if (!table_) return;
    wiring.resumed ? take_over() : begin_anew();
}

// At a new mount a gap has been repaired.
void Recorder::begin_anew() {
    journal::SharedHead& head = table_->head();
    head.in_gap.store(recording);
    if (head.gap.report().is_open()) head.gap.needs_mount = 1;  // whoever tells people says so
    head.gap.ends(clock_.realtime_ns());
}

// A successor goes on in the gap that its predecessor began, and what that one had noted is lost. In every case it begins a gap of its own, because
// it cannot know what stands in the journal: two that overlap are one.
//     beginning   nothing was left out yet, and without GAP_END what is recorded from now on would lie inside of a gap
//     paused      GAP_BEGIN may be missing: a journal that had failed took none, and what was done since is nowhere
//     ending      GAP_END may be there. Nobody was served since, but the map that was empty then is gone with who could have said so
void Recorder::take_over() {
    journal::SharedHead& head = table_->head();
    const uint32_t left = head.in_gap.load();
    if (left == recording) return head.gap.ends(clock_.realtime_ns());
    const journal::GapReport known = head.gap.report();
    gap_since_ns_ = known.is_open() ? known.since_ns : clock_.realtime_ns();
    enter_gap(HF_GAP_JOURNAL_FULL, "the process before this one died in a gap", left == beginning);
}

Recorder::Reserved Recorder::reserve(uint32_t length, journal::Writer::Ticket& ticket) {
    if (!is_recording()) return Reserved::unrecorded;
    auto reserved = writer_->reserve(length);
    // A gap costs a comparison of everything: a moment's patience may save it.
    if (!reserved && reserved.error().code == ErrorCode::no_space && policy_ == journal::FullPolicy::stop_protection &&
        writer_->wait_for_space(length, patience_before_gap_ms))
        reserved = writer_->reserve(length);
    if (reserved) {
        // Space now and then: the next shortage is a new one.
        if (short_since_ns_.load(std::memory_order_relaxed) != 0) short_since_ns_ = 0;
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
// behind it. `beginning` is said first: a successor that found `recording` would go on behind a GAP_BEGIN without an end, and no moment would be
// offered any more although everything is recorded.
void Recorder::enter_gap(hf_gap_reason reason, const std::string& sentence, bool is_known) {
    std::lock_guard lock(entering_gap_);
    if (in_gap_.load()) return;
    journal::SharedHead& head = table_->head();
    if (head.in_gap.load() == recording) {
        gap_since_ns_ = clock_.realtime_ns();
        // Of a journal that failed more may be lost than what comes: then nobody knows what is missing, from here on.
        head.in_gap.store(reason == HF_GAP_JOURNAL_FULL ? beginning : paused);
    }
    Record record;
    record.type = HF_GAP_BEGIN;
    gap_sentence_ = sentence;
    record.body = journal::Gap{true, reason, gap_since_ns_, sentence};
    dirty_.clear();
    auto appended = writer_->append(record);
    // Durable before the first change that is not recorded.
    Status synced = appended ? writer_->sync(*appended + journal::encoded_length(record.body)) : Status(appended.error());
    if (!synced) log_error("The gap could not be recorded in the journal: " + synced.error().message);
    // What a journal that failed has lost is more than what changes from now on.
    const bool can_heal = synced && reason == HF_GAP_JOURNAL_FULL && is_known;
    head.gap.begins(reason, gap_since_ns_, !can_heal);
    if (!can_heal) lose_track();
    log_error("HISTORY IS PAUSED: changes are not recorded from now on (" + sentence + "). They are compared and recorded " +
              (can_heal ? "as soon as the journal has room." : "at the next mount."));
    in_gap_.store(true);
    head.in_gap.store(paused);
}

void Recorder::lose_track() {
    dirty_.lose();
    table_->head().gap.needs_mount = 1;
}

void Recorder::note_unrecorded(const Record& record, uint64_t length) {
    if (!writer_) return;
    dirty_.note(record, length);
    std::atomic<uint32_t>& needs_mount = table_->head().gap.needs_mount;
    if (dirty_.is_everything() && needs_mount.load(std::memory_order_relaxed) == 0) needs_mount = 1;  // it was full
}

void Recorder::count_repaired(const std::vector<journal::TouchedObject>& taken) {
    journal::GapWords& words = table_->head().gap;
    words.objects += taken.size();
    for (const journal::TouchedObject& object : taken) words.names += object.names.size();
}

// A successor that finds `ending` does not know whether GAP_END stands in the journal, and begins another gap: two that overlap are one, and
// a moment between the two has nothing unrecorded before it.
Result<journal::Lsn> Recorder::end_gap(const std::vector<journal::TouchedObject>& taken) {
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
        lose_track();
        return std::move(synced).error();
    }
    short_since_ns_ = 0;
    in_gap_.store(false);
    table_->head().in_gap.store(recording);
    count_repaired(taken);
    table_->head().gap.ends(clock_.realtime_ns());
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
        wait_for_space(journal::encoded_length(record.body), space_slice_ms);
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
    HF_CHECK(state_ == State::closed);
    if (!recorder_.writer_) return true;
    HF_CHECK(slot_);
    // From here on the slot is this operation's: what the last one left is not to be believed any more.
    set_slot(SlotState::idle);
    slot_->request = request_;
    Recorder::Reserved reserved = Recorder::Reserved::unrecorded;
    if (recorder_.is_recording()) reserved = recorder_.reserve(length, ticket_);
    if (reserved == Recorder::Reserved::no_space) return false;
    const bool is_recorded = reserved == Recorder::Reserved::yes;
    if (!is_recorded) recorder_.note_unrecorded(intended, facts.length);
    state_ = is_recorded ? State::recorded : State::unrecorded;
    intended.lsn = is_recorded ? ticket_.lsn : recorder_.writer_->reserved();
    IntentFacts whole = facts;
    whole.begun_ns = recorder_.clock().realtime_ns();
    store_intent(*slot_, intended, length, whole, is_recorded ? SlotState::intent : SlotState::unrecorded);
    return true;
}

void Operation::commit(const Record& happened) {
    const State was = std::exchange(state_, State::closed);
    if (was == State::closed) return;
    // An error means that the journal is fenced. The operation stays done, and the application is told so (I6).
    if (was == State::recorded) recorder_.note_failure(recorder_.writer_->commit(ticket_, happened));
    set_slot(SlotState::recorded);
}

void Operation::abandon() {
    const State was = std::exchange(state_, State::closed);
    if (was == State::closed) return;
    if (was == State::recorded) recorder_.note_failure(recorder_.writer_->abandon(ticket_));
    set_slot(SlotState::idle);
}

void Operation::set_slot(SlotState state) {
    slot_->state.store(static_cast<uint32_t>(state), std::memory_order_release);
}

}  // namespace holdfast::fusefs
