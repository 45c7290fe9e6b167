// Recovery: what a journal directory holds after its writer is gone, and what to do about it.
//
// Deciding is apart from doing. survey() reads and changes nothing; decide() is a pure function of the survey and
// of the in-flight table's state, one row of the table in docs/journal_format.md for every combination;
// repair() carries out the row: settles the reserved addresses, seals the last segment.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/inflight.h"
#include "journal/writer.h"

namespace holdfast::journal {

// How the stream of records ends on disk.
enum class TailState {
    empty,           // no segment at all
    sealed,          // the last segment ends in SEGMENT_END: nothing was being written
    open,            // whole records, then zeros
    torn,            // whole records, then bytes that are not a whole record
};

enum class MiddleState {
    whole,
    missing_segment,  // a number is absent between two that are there
    corrupt,          // damage below the durable end, or a whole record after the damage
    foreign,          // a segment of another volume
    unreadable,       // the disk returned an error
    newer,            // a format this program does not know
};

struct Survey {
    MiddleState middle = MiddleState::whole;
    TailState tail = TailState::empty;
    uint64_t first_segment = 0;
    uint64_t last_segment = 0;
    Lsn end = 0;               // past the last whole record
    Lsn damage = 0;            // where the middle is not whole
    uint64_t last_time_ns = 0;
    bool closed_clean = false; // the last record is SESSION_CLOSE with clean = 1
    std::array<uint8_t, 16> chain{};
    uint64_t records = 0;
    std::string sentence;      // what was found, for the evidence
};

enum class Action {
    start_fresh,        // no journal yet
    resume,             // closed in order
    settle_in_flight,   // the process died, the host lived: page cache and table are whole
    compare_suspects,   // the host died: backing tree is the truth, compare and record the difference in a gap
    compare_everything, // the journal lost something it had promised: gap, then compare all
    refuse,             // not ours, newer or unreadable: change nothing, say what to do
};

struct Decision {
    Action action;
    std::string sentence;
};

Result<Survey> survey(Disk& disk, const VolumeId& volume, uint64_t segment_bytes);
Decision decide(const Survey& survey, bool table_survived, bool table_clean);

// Asked about every occupied slot, in LSN order: did the operation take effect, and what is its record now?
// Returning nothing writes a VOID.
using Settle = std::function<Result<std::optional<Record>>(const Slot& slot, const Record& intent)>;

struct RepairReport {
    uint32_t settled_done = 0;
    uint32_t settled_void = 0;
    Lsn end = 0;
    StreamEnd stream_end;
};
// Leaves the directory so that every address below the end holds a whole record and the last segment is sealed.
Result<RepairReport> repair(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, const Survey& survey,
                            InflightTable& table, const Settle& settle);

}  // namespace holdfast::journal
