// One pass of healing a gap: leaves records behind it that make the image equal to what was touched, as it was when it was looked at
// (touched_tree.h).
//
// It is the comparison of a whole tree (reconcile/tree_repair.h) without what was not touched: that is equal already, so a visit would
// find nothing there. Names, owners, modes, times and xattrs are those of the look. Bytes are read now; what was written to since is touched again
// and belongs to the next pass.
//
// Memory: what was touched, and what differs.
// Thread rule: one thread.
#pragma once

#include <unordered_set>

#include "rewind/heal/touched_tree.h"
#include "rewind/reconcile/byte_repair.h"
#include "rewind/reconcile/file_bytes.h"
#include "rewind/reconcile/name_repair.h"
#include "rewind/reconcile/object_repair.h"

namespace holdfast::rewind {

class TouchedBytes final : public FileBytes {
public:
    // IS_HELD: nothing changes meanwhile, so a file that cannot be read is an error and not simply gone by now.
    TouchedBytes(TouchedPlaces& places, const TouchedTree& tree, RepairLedger& ledger, bool is_held)
        : places_(places), tree_(tree), ledger_(ledger), repair_(ledger), is_held_(is_held) {}

    Status fill(SourceDirectory& directory, const TreeObject& object) override;
    Result<bool> compare(SourceDirectory& directory, const TreeObject& object, const ObjectAttributes& seen) override;

private:
    // Nothing: it is gone.
    Result<std::optional<UniqueFd>> open(const TreeObject& object) const;

    TouchedPlaces& places_;
    const TouchedTree& tree_;
    RepairLedger& ledger_;
    ByteRepair repair_;
    const bool is_held_;
};

class TouchedRepair {
public:
    // OPEN_IN_IMAGE: what lies without a name in the image and has not ended. LEFT_OVER: names in the top of the image that an earlier
    // pass, which came to no end, has made.
    TouchedRepair(const TouchedTree& tree, RepairLedger& ledger, FileBytes& bytes, const std::unordered_set<ObjectId>& open_in_image,
                  const std::vector<ViewEntry>& left_over)
        : tree_(tree), ledger_(ledger), open_in_image_(open_in_image), left_over_(left_over), names_(ledger), objects_(ledger, bytes) {}

    // Errors: those of tree and target; corrupt when what was touched cannot be all that differs.
    Status run();
    uint64_t removed() const { return removed_; }

private:
    Status visit(const TouchedTree::Directory& directory);
    Status compare_files();
    Status finish_directories();
    Status repair_nameless();
    Status bear(const ObjectId& parent, const TreeObject& object);

    const TouchedTree& tree_;
    RepairLedger& ledger_;
    const std::unordered_set<ObjectId>& open_in_image_;
    const std::vector<ViewEntry>& left_over_;
    NameRepair names_;
    ObjectRepair objects_;
    std::unordered_set<ObjectId> born_;
    std::unordered_set<ObjectId> unborn_;  // nameless, and the image does not know them
    uint64_t removed_ = 0;
};

}  // namespace holdfast::rewind
