// Where a store stands: the small file STORE/position, replaced whole at every checkpoint and whenever the window moves, and a copy of it,
// without which a few rotten bytes would cost all of the history.
// Thread rule: pure functions; one writer.
#pragma once

#include <optional>

#include "base/disk.h"
#include "base/result.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

struct Position {
    Lsn checkpoint = 0;        // the image on disk has everything below this
    UndoAddress undo_end = 0;  // of the undo log at that time; a log that ends before has lost what was durable
    Lsn window_begin = 0;      // the oldest moment
    Lsn damaged_from = 0;      // the image may lack records from here on that the journal lost; 0: none
    uint32_t open_gaps = 0;    // gaps that began before the window and were open at its begin (Gaps)
};

// From the copy where the file is damaged or gone, and the log says so. Nothing: the store is new. Errors: foreign (another volume's), corrupt.
Result<std::optional<Position>> load_position(Disk& disk, const journal::VolumeId& volume);
// Durable on return.
Status save_position(Disk& disk, const journal::VolumeId& volume, const Position& position);

}  // namespace holdfast::rewind
