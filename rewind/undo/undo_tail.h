// Where an undo log ends: what its newest segments hold after the writer is gone.
//
// Looking is apart from cutting. find_undo_tail() reads and changes nothing; cut_undo_tail() makes the files end where
// it said.
//
// What an end may look like, and what it means:
//
//   whole records                                   nothing was being written
//   whole records, then a seal                      the next segment was not made yet
//   only a header, or less than one                 the segment was being made
//   whole records, then anything else               torn: cut, if nothing behind it shows that this was durable once
//     ... then a whole record whose unsynced_bytes  corrupt: the batch that is damaged had been synced before that
//     say that the damage lies in what was durable  record was written, and the image was changed on its strength
//   the last record is `continued`                  the journal record is not whole: cut where its first part begins,
//                                                   also when that lies in an older, sealed segment
//
// Thread rule: plain functions, one thread.
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "rewind/undo/undo_segment.h"

namespace holdfast::rewind {

// The state of a writer that continues at OFFSET of segment INDEX.
struct UndoTail {
    uint64_t index = 0;
    uint64_t offset = 0;  // past the newest whole record; 0: the segment is not made yet
    bool sealed = false;
    uint64_t record_count = 0;
    UndoChain chain{ChainHash{}};
    Lsn last_lsn = 0;
    Lsn end_lsn = 0;
    uint64_t last_time_ns = 0;
};

struct UndoSurvey {
    std::vector<uint64_t> segments;  // ascending, those that stay
    std::vector<uint64_t> surplus;   // descending, those to be removed
    uint64_t segment_bytes = 0;      // 0: there is no segment
    UndoTail tail;
    uint64_t cut_bytes = 0;          // behind the tail in its segment
    std::string evidence;            // sentences
};

// Errors: io, corrupt, foreign, unsupported.
Result<UndoSurvey> find_undo_tail(Disk& disk, const journal::VolumeId& volume);

// Removes SURPLUS, newest first, and cuts segment INDEX at OFFSET. Durable on return; a crash in between leaves a state
// that leads to the same cut.
Status cut_undo_tail(Disk& disk, const std::vector<uint64_t>& surplus, uint64_t index, uint64_t offset);

}  // namespace holdfast::rewind
