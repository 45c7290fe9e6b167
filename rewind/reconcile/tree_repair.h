// The comparison of a source tree with the image: one walk, top down, which leaves records behind it that make the
// image equal to the tree.
//
// Memory: the listing of one directory, the directories that are still to be visited, and what differs. Objects with
// several names are remembered so that each is compared once.
// Thread rule: one thread.
#pragma once

#include <unordered_set>
#include <vector>

#include "rewind/reconcile/source_tree.h"
#include "rewind/reconcile/name_repair.h"
#include "rewind/reconcile/object_repair.h"

namespace holdfast::rewind {

struct TreeRepairOptions {
    uint64_t deletion_brake = 0;  // objects; 0: no brake
    std::string_view brake_advice = "mount it once with -o accept_deletions";  // to whom means the deletions
};

class TreeRepair {
public:
    TreeRepair(SourceTree& tree, RepairLedger& ledger, FileBytes& bytes, const TreeRepairOptions& options)
        : tree_(tree), ledger_(ledger), options_(options), names_(ledger), objects_(ledger, bytes) {}

    // Errors: those of tree and target; permission for the deletion brake: everything is repaired but what the tree has
    // lost is not removed, so nothing is lost and the gap must stay open.
    Status run();
    uint64_t removed() const { return removed_; }

private:
    struct Step {
        TreeObject directory;
        bool is_born;    // by this repair
        bool is_finish;  // entries are done, the directory's own attributes remain
    };
    Status visit(const Step& step);
    Status visit_entry(const Step& step, SourceDirectory& directory, const TreeObject& object, bool has_name);
    Status remove_what_is_gone();

    SourceTree& tree_;
    RepairLedger& ledger_;
    const TreeRepairOptions& options_;
    NameRepair names_;
    ObjectRepair objects_;
    std::vector<Step> steps_;
    std::unordered_set<ObjectId> compared_;  // of objects with several names
    uint64_t removed_ = 0;
};

}  // namespace holdfast::rewind
