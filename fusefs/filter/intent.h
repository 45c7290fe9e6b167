// What a worker thread leaves in its slot of the in-flight table while it changes the backing tree: enough for a
// successor to find out whether the change took effect, and to write its record.
//
//     Slot::intent = the intended record, encoded (journal::EncodedRecord, with the slot's lsn; decode_record() takes
//                    it back), then, at the next multiple of 8, IntentFacts.
//
// The record says what will be tried; what is known only afterwards is missing:
//   WRITE        offset, and no data. How many bytes is facts.length.
//   TRUNCATE     the wanted size
//   FALLOCATE    whole
//   CREATE, ...  object is {1, 0, origin} (nobody knows it yet); parent, name, mode (type bits are right, permissions as
//                asked for), rdev, no xattrs. A target of more than intent_target_bytes_max is cut off: read it from the link.
//   LINK, UNLINK, RMDIR, RENAME   whole, as they would be recorded
//   SETATTR      the wanted values, with their valid bits; what the system adds (cleared set-id bits) is not in it
//   SETXATTR     the name, and no value: read it from the object
//   REMOVEXATTR  whole
//
// Order of stores: state = idle, then the request, then reserve(), then lsn, length and intent, then state = intent.
// So a slot in state `intent` is whole, and an address that was handed out without one belongs to an operation that
// had not begun. What is not recorded, in a gap, announces itself as well, in state `unrecorded`: it must not be carried out twice either.
//
// The answer. A request that the kernel sends again finds the slot by its id:
//   state recorded, facts.repeatable == 0: the operation is done, and its answer is answer_error; the rest of the
//       answer (the entry that was made) is looked up again. Settling leaves the same for what took effect.
//   otherwise: it is carried out (again). For repeatable operations that is harmless: they bring the object to the
//       same state once more, and are recorded once more.
// Every operation of a request that consists of several (set-id bits that a write clears) is recorded on its own.
//
// Thread rule: a slot belongs to one thread.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "journal/inflight.h"
#include "journal/record.h"

namespace holdfast::fusefs {

inline constexpr size_t intent_target_bytes_max = 2048;

struct IntentFacts {
    uint64_t node = 0;            // node id (filter/node_id.h) of the object; 0: it is being born
    uint64_t parent_node = 0;     // of the directory of the (old) name
    uint64_t new_parent_node = 0; // RENAME
    uint64_t other_node = 0;      // RENAME: what is replaced or exchanged
    uint64_t length = 0;          // WRITE: bytes
    uint64_t size_before = 0;     // of the object, where it was known
    int64_t ctime_before_ns = 0;  // of the object, where it was known
    uint64_t begun_ns = 0;        // realtime, coarse clock: what is born by this operation is not older
    uint32_t links_before = 0;    // of the object, where it was known
    uint32_t repeatable = 0;      // 1: may be carried out again when the request is sent again
    uint64_t reserved[3] = {};
};
static_assert(sizeof(IntentFacts) == 96);

struct Intent {
    journal::Record record;  // borrows from the slot
    IntentFacts facts;
};

// Writes lsn, length and intent of SLOT and sets its state to STATE, which is intent or unrecorded. RECORD.lsn is the reserved address, LENGTH what
// was reserved there, or would have been.
void store_intent(journal::Slot& slot, const journal::Record& record, uint32_t length, const IntentFacts& facts, journal::SlotState state = journal::SlotState::intent);

// Errors: corrupt.
Result<Intent> load_intent(const journal::Slot& slot);

}  // namespace holdfast::fusefs
