// Takes batches of records into the image, and takes them in again after a crash.
//
// The order of a batch (docs/guarantees.md tells what a crash between any two steps leaves behind):
//   1. what each record overwrites is written to the undo log      2. the undo log is made durable
//   3. the index takes it in                                       4. the image is changed: names, bytes, attributes
//   5. the index learns where new and moved objects lie
//
// Thread rule: the applier's thread. After an error the image may be half changed: only redo() may follow.
#pragma once

#include <functional>

#include "rewind/apply/record_stream.h"
#include "rewind/apply/undo_planner.h"

namespace holdfast::rewind {

class PastChanges;

struct RedoReport {
    uint64_t records = 0;
    Lsn to = 0;        // the image has everything below this
    std::string loss;  // why not more
};

class Applier {
public:
    // All of them outlive the applier.
    static Result<std::unique_ptr<Applier>> create(const Image& image, Index& index, UndoLog& undo);

    Status apply(Batch& batch);

    // Brings the image to the state after all records of [from, to), which are in the undo log and in the index
    // already, from whatever a crash made of them. Where the journal does not have them any more it stops.
    Result<RedoReport> redo(RecordStream& journal, Lsn from, Lsn to);

    // Brings the image to the state before the undo record at FROM, which is the first one at or after AT, from whatever a crash made
    // of it. Index and log still have that and what follows; they lose it next. Returns the names that are held then,
    // of those that were touched.
    Result<std::vector<Index::HeldName>> take_back(Lsn at, UndoAddress from);

    // An object was removed from the graveyard for good. The index learns of it with the next batch or publish().
    Status forget(const ObjectId& object) { return files_.remove(object); }
    // Objects may lie elsewhere from here on.
    Status forget_places();
    Status publish();

private:
    Applier(const Image& image, Index& index, UndoLog& undo, uint64_t block_bytes)
        : files_(image, index), index_(index), undo_(undo), builder_(undo), block_bytes_(block_bytes) {}

    Status change_bytes(const Batch& batch, const Changes& changes);
    Status change_attributes(Changes& changes);
    Result<RedoReport> collect(RecordStream& journal, Lsn from, Lsn to, Batch& records, Changes& changes);
    Status redo_data(RecordStream& journal, Lsn from, Lsn to);
    Status redo_shift(const Record& record);
    Status grow_as_before(int fd, const Record& record);
    Result<std::optional<uint64_t>> size_before(const Record& record);
    Status settle_times(PastChanges& past, Lsn at);
    Status restore_bytes_of(const PastChanges& past, Lsn at);
    Status remove_unborn(const ObjectId& object);
    Status visit_undo_of(const Record& record, const std::function<Status(const UndoRecord&)>& visit);

    ObjectFiles files_;
    Index& index_;
    UndoLog& undo_;
    UndoBuilder builder_;
    UnsettledTimes unsettled_;
    const uint64_t block_bytes_;
};

}  // namespace holdfast::rewind
