// The store of a replica behind a repair: answers come from its image, and what differs becomes records of its own, which it applies
// with undo inside of a gap (Store::apply_repairs). So what the image was before stays in its window (I7).
//
// Records are numbered on from the end of what the replica has, below the moment that it is made equal to. Errors of append():
// unsupported when there are not enough addresses in between.
//
// Ownership: borrows the store. Thread rule: one thread, the store's.
#pragma once

#include "rewind/apply/batch.h"
#include "rewind/reconcile/image_answers.h"
#include "rewind/sync/repair_mark.h"

namespace holdfast::rewind {

class StoreTarget final : public ImageAnswers {
public:
    // REQUIRES: STORE.is_repairing().
    StoreTarget(Store& store, const RepairPoint& point) : ImageAnswers(store), store_(store), point_(point), next_(store.applied()) {}

    Status append(const journal::Record& record) override;
    Status settle() override;
    Result<ObjectId> fresh_id() override;

    // The gap begins, unless one is open from a repair that was cut off. Before the first record.
    Status open_gap(const std::string& sentence);
    // The image is the state at the point: the gap ends, and the stream goes on there.
    Status finish(const std::string& sentence);

private:
    Status add(journal::Record record);
    Status append_gap(bool begins, const std::string& sentence);

    Store& store_;
    const RepairPoint point_;
    Batch batch_;
    uint64_t batch_bytes_ = 0;
    Lsn next_;
};

}  // namespace holdfast::rewind
