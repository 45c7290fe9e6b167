// Checks a store while it is in use: journal and undo log with their chains, whether the index leads to every undo
// record, and whether every object of image and graveyard is what the index says of it.
//
// The follower goes on meanwhile. What looks wrong is looked at again on the follower's thread, between two batches,
// and only told when it is still so: an object that moved while it was looked at is no problem.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "journal/volume.h"
#include "rewind/service/follower.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

inline constexpr size_t problems_max = 1000;

struct VerifyReport {
    std::vector<std::string> problems;  // sentences
    uint64_t problems_left_out = 0;     // beyond problems_max
    uint64_t segments = 0;              // of the journal
    uint64_t journal_records = 0;
    uint64_t undo_segments = 0;
    uint64_t undo_records = 0;
    uint64_t indexed_items = 0;  // undo that the index was asked for
    uint64_t objects = 0;        // names in image and graveyard
    uint64_t bytes = 0;          // of journal and undo log that were read
};

// Damage is a problem in the report; an error means that the check itself could not be made.
Result<VerifyReport> verify_store(Follower& follower, const journal::Volume& volume, const ProgressSink& progress);

}  // namespace holdfast::rewind
