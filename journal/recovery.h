// Recovery: what a journal directory holds after its writer is gone, and what to do about it.
//
// Deciding is apart from doing. survey() reads and changes nothing; decide() is a pure function of the survey and
// of the in-flight table's state, one row of the table in docs/journal_recovery.md for every combination;
// repair() carries out the row: settles the reserved addresses, seals the last segment.
//
// Thread rule: one thread, while nobody writes the journal (the holder of STORE/lock).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/inflight.h"
#include "journal/record.h"
#include "journal/segment.h"
#include "journal/writer.h"

namespace holdfast::journal {

// How the stream of records ends on disk.
enum class TailState {
    empty,           // no segment at all
    sealed,          // the last segment ends in SEGMENT_END: nothing was being written
    open,            // whole records, then nothing, or holes that writers of this host run had reserved
    torn,            // whole records, then bytes that are not a whole record
};

enum class MiddleState {
    whole,
    missing_segment,  // a number is absent between two that are there
    corrupt,          // damage below the durable end, or a whole record a minute after the damage
    foreign,          // a segment of another volume
    unreadable,       // the disk returned an error
    newer,            // a format this program does not know
};

const char* to_string(TailState tail);
const char* to_string(MiddleState middle);

struct Survey {
    MiddleState middle = MiddleState::whole;
    TailState tail = TailState::empty;
    uint64_t first_segment = 0;
    uint64_t last_segment = 0;
    Lsn end = 0;               // past the last record of the unbroken prefix
    Lsn damage = lsn_max;      // where the middle is not whole; lsn_max: it is
    uint64_t last_time_ns = 0;
    bool closed_clean = false; // the last record is SESSION_CLOSE with clean = 1
    ChainHash chain{ChainHash::Value{}};  // at `end`: over the records of the prefix in the segment in which it ends, so that nobody reads them again
    std::vector<StreamEnd::Sealed> uncut;  // sealed segments of the prefix whose files were not cut behind the seal
    uint64_t records = 0;
    std::string sentence;      // what was found, for the evidence
};

// What the caller knows and the segments do not say.
struct SurveyHints {
    Lsn published = 0;         // of the in-flight table, if it survived: every record below was whole
    Lsn reserved = lsn_max;    // likewise: at and beyond it nothing was written, so nothing is looked for
    Lsn needed = 0;            // lowest cursor: segments wholly below are left out, whatever their state
    Lsn taken = 0;             // highest cursor: addresses below were seen by a consumer and are never used again
    bool check_chains = false; // read every sealed segment whole instead of its header and its seal
};

// What cursors and TABLE know about VOLUME's journal. Of a journal whose only consumer is the volume's own store nothing below
// its cursor is needed: a store never runs ahead of what is durable. A replica may be sent back below its cursor, after it
// lost its tail in a power cut, and the chain must lead up to where the two hosts agree (docs/decisions/0005), so with any
// other consumer everything that is kept is needed. CURSORS is the cursors/ directory. Errors: io.
Result<SurveyHints> survey_hints(Disk& cursors, const VolumeId& volume, InflightTable& table);

enum class Action {
    start_fresh,        // no journal yet
    resume,             // closed in order
    settle_in_flight,   // the process died, the host lived: page cache and table are whole
    compare_suspects,   // the host died: backing tree is the truth, compare and record the difference in a gap
    compare_everything, // the journal lost something it had promised: gap, then compare all
    refuse,             // not ours, newer or unreadable: change nothing, say what to do
};
const char* action_name(Action action);

// One row of the table. A combination of inputs belongs to exactly one.
struct RecoveryCase {
    const char* name;
    const char* middle;  // as the page writes them: "whole", "any"; "sealed, open"
    const char* tail;
    const char* table;   // "closed": survived, its writer closed in order; "in use": survived; "other boot"
    const char* close;   // is the last record a clean SESSION_CLOSE? "yes", "no", "any"
    Action action;
    const char* sentence;  // what it means and what follows
};
std::span<const RecoveryCase> recovery_cases();

struct Decision {
    Action action;
    std::string sentence;
    std::string_view name;  // of the case
};

// Errors: only when the directory itself cannot be listed. What is wrong with a segment is in the survey.
Result<Survey> survey(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, const SurveyHints& hints = {});
Decision decide(const Survey& survey, bool table_survived, bool table_clean);

// Asked about every occupied slot, in LSN order: did the operation take effect, and what is its record now?
// Returning nothing writes a VOID. INTENT has the head that the slot stores (type, flags, object), its own lsn and
// length, and a body only if the slot holds a whole record. The callee may fill the slot's answer.
using Settle = std::function<Result<std::optional<Record>>(Slot& slot, const Record& intent)>;

struct RepairReport {
    uint32_t settled_done = 0;
    uint32_t settled_void = 0;
    uint32_t holes_filled = 0;    // addresses that were reserved and whose operation never began
    Lsn end = 0;                  // of the repaired stream: where the next segment begins
    Lsn dropped_from = lsn_max;   // from here to `end` nothing is left; a consumer beyond it continues at `end`
    StreamEnd stream_end;
};
// Leaves the directory so that every address below the end holds a whole record and the last segment is sealed.
// May be stopped at any point and run again, after a new survey. A decision to compare must have been made durable
// by the caller before: a repaired journal no longer shows why. REQUIRES: the decision was not `refuse`.
// Errors: io, no_space, whatever SETTLE returns; nothing is lost by them.
Result<RepairReport> repair(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, const Survey& survey,
                            InflightTable& table, const Settle& settle, const SurveyHints& hints = {});

}  // namespace holdfast::journal
