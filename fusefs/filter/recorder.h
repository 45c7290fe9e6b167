// From operations to records: the order of steps that docs/decisions/0002 explains, the in-flight slot, and what happens
// when the journal takes nothing more.
//
//     Operation operation(recorder, slot, request id);
//     if (!operation.begin(intended record, length, facts)) return Answer::parked();
//     ... change the backing tree ...
//     operation.commit(what really happened)   or   operation.abandon()
//
// A null filter has no writer: the same steps do nothing.
//
// The journal is full (no_space). Policy `block`: begin() says no, the request is parked and tried again when there is
// space; nothing has happened yet. Policy `stop_protection`: GAP_BEGIN is recorded and the filter goes on unrecorded. Policy `degrade`:
// like `block` as long as now and then there is space, and like `stop_protection` when there was none for degrade_patience_ms.
// The journal failed (fenced): the same, whatever the policy, because no waiting would help (I6).
//
// In a gap what changes is noted in the dirty map. When the journal has room again what was noted is compared and recorded, and the gap ends
// (healing.h, docs/decisions/0014). Where the map does not know (it was full, the journal failed, a process that knew has died) the gap stays
// open until the next mount's reconciliation. in_gap of the in-flight table says so to a successor, journal/gap_words.h to people.
//
// Thread rule: Recorder from any thread; an Operation belongs to one thread, which passed the gate and holds the
// locks of the objects concerned.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "fusefs/filter.h"
#include "fusefs/filter/dirty_map.h"
#include "fusefs/filter/intent.h"

namespace holdfast::fusefs {

inline constexpr uint32_t append_patience_ms = 60'000;

class Recorder {
public:
    explicit Recorder(const Wiring& wiring);

    // Operations are being recorded.
    bool is_recording() const { return writer_ && !in_gap_.load(std::memory_order_relaxed); }
    bool in_gap() const { return in_gap_.load(); }
    bool has_journal() const { return writer_ != nullptr; }
    // What changed since the gap began and was not recorded.
    DirtyMap& dirty() { return dirty_; }
    uint64_t gap_since_ns() const { return gap_since_ns_.load(); }  // 0: not known
    // Appends GAP_END, durable on return, and records from then on. Returns the address behind it. TAKEN as in count_repaired().
    // REQUIRES: in a gap; nothing changes the backing tree (the gate is closed), and the journal tells how it is now. Errors: no_space, io;
    // unavailable when end() was called; the gap then goes on.
    Result<journal::Lsn> end_gap(const std::vector<journal::TouchedObject>& taken);

    // TAKEN from the map was compared and what differed is recorded; for who tells people.
    void count_repaired(const std::vector<journal::TouchedObject>& taken);

    // For what needs no slot, because it only says what is. False: not now (no space under `block`); try again later.
    bool append(const journal::Record& record);
    // The same for what has already happened and must be said: waits for room, as long as the policy does, at most append_patience_ms and not after
    // end(); then a gap begins, because from here on the journal does not tell the whole truth.
    void append_or_gap(const journal::Record& record);
    // No more waiting.
    void end() { is_ending_.store(true); }

    // Everything recorded so far is durable, or the journal is fenced and a gap open.
    void sync();
    // False: TIMEOUT_MS passed. Under `degrade` the wait that was one too many begins a gap, and then there is nothing to wait for.
    bool wait_for_space(uint32_t length, uint32_t timeout_ms);

    const Clock& clock() const { return clock_; }
    journal::Writer* writer() { return writer_; }

private:
    friend class Operation;
    enum class Reserved { yes, unrecorded, no_space };
    Reserved reserve(uint32_t length, journal::Writer::Ticket& ticket);
    void begin_anew();
    void take_over();
    // IS_KNOWN: nothing that was left out before this is missing in the map.
    void enter_gap(hf_gap_reason reason, const std::string& sentence, bool is_known = true);
    void lose_track();
    void note_failure(const Status& status);
    // RECORD happens and is not recorded.
    void note_unrecorded(const journal::Record& record, uint64_t length = 0);

    journal::Writer* writer_;
    journal::InflightTable* table_;
    const Clock& clock_;
    const journal::FullPolicy policy_;
    const uint64_t patience_ns_;
    std::atomic<uint64_t> short_since_ns_ = 0;  // 0: there was space when it was last waited for
    std::atomic<bool> in_gap_ = false;
    std::atomic<bool> is_ending_ = false;
    std::mutex entering_gap_;
    std::atomic<uint64_t> gap_since_ns_ = 0;
    std::string gap_sentence_;  // of the gap that is open; under entering_gap_
    DirtyMap dirty_;
};

class Operation {
public:
    // SLOT may be null without a journal.
    Operation(Recorder& recorder, journal::Slot* slot, uint64_t request) : recorder_(recorder), slot_(slot), request_(request) {}
    ~Operation() { abandon(); }
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

    // Room for LENGTH bytes, at least what commit() will need. False: the journal has no room now.
    // In a gap what is intended is noted instead, and announced all the same: a successor must not carry it out twice.
    [[nodiscard]] bool begin(journal::Record intended, uint32_t length, const IntentFacts& facts);
    void commit(const journal::Record& happened);
    // Nothing happened.
    void abandon();

private:
    enum class State { closed, recorded, unrecorded };
    void set_slot(journal::SlotState state);

    Recorder& recorder_;
    journal::Slot* slot_;
    uint64_t request_;
    journal::Writer::Ticket ticket_;
    State state_ = State::closed;
};

}  // namespace holdfast::fusefs
