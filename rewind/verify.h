// Checks the history of a store: the undo log's segments, seals and hash chain, and that the index answers with every
// undo record that it should know.
//
// What is checked, and what it would mean otherwise:
//   every record of every segment is whole          a bit was flipped or a segment was cut
//   a sealed segment's records fit its seal         records were taken out, put in or changed, with new checksums
//   a segment begins with the chain of the one before it   a segment was replaced whole
//   the index leads to each item of each record     a view would show the present where it should show the past
//
// It runs beside the applier and the pruner: records that are appended after it began are not looked at, segments that
// are dropped meanwhile are no problem. Journal and image are checked by service/verify_store.h.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rewind/index/index.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

struct HistoryOptions {
    uint64_t index_every = 1;      // ask the index about every Nth record only; 0: about none
    size_t problems_max = 1000;
};

struct HistoryReport {
    std::vector<std::string> problems;  // sentences
    uint64_t problems_left_out = 0;
    uint64_t segments = 0;
    uint64_t seals = 0;
    uint64_t undo_records = 0;    // parts of one journal record count once
    uint64_t indexed_items = 0;   // that the index was asked for
    uint64_t bytes = 0;
};

// Damage is a problem in the report; an error means that the check itself could not be made, or is the one that STEP
// returned. STEP is told the bytes read since it was called last.
Result<HistoryReport> verify_history(const UndoLog& undo, const Index& index, const HistoryOptions& options,
                                     const std::function<Status(uint64_t bytes)>& step);

}  // namespace holdfast::rewind
