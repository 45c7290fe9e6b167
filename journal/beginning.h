// Where a replica's journal begins when the replica was made equal to its source by comparison, or when its journal was cut within the oldest
// segment that it keeps: the small file `beginning` of the journal directory.
//
// A journal that begins in the middle has no seal before it, so this file says what the hash chain is there, until the first segment has
// its own seal and the next one goes on from it. It also stands for a journal of which nothing is kept yet. It goes with the segment that it speaks of.
//
// Thread rule: pure functions; one writer.
#pragma once

#include <optional>

#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"
#include "journal/segment.h"

namespace holdfast::journal {

struct Beginning {
    Lsn lsn = 0;                // a segment begins here
    ChainHash::Value chain{};   // over everything before
    Lsn equal_at = 0;           // in the same segment: the image cannot go back to what lies before, because it was made equal here
    bool operator==(const Beginning&) const = default;
};

// Nothing: the journal begins with the volume's history, or with a segment whose seal is kept. Errors: corrupt, io.
Result<std::optional<Beginning>> load_beginning(Disk& journal);
// Durable on return.
Status save_beginning(Disk& journal, const Beginning& beginning);
Status remove_beginning(Disk& journal);  // also when there is none

}  // namespace holdfast::journal
