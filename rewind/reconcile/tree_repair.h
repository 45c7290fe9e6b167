// The comparison of the backing tree with the image: one walk, top down, which leaves records behind it that make the
// image equal to the tree.
//
// Memory: the listing of one directory, the directories that are still to be visited, and what differs. Objects with
// several names are remembered so that each is compared once.
// Thread rule: one thread.
#pragma once

#include <unordered_set>
#include <vector>

#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/name_repair.h"
#include "rewind/reconcile/object_repair.h"

namespace holdfast::rewind {

struct TreeRepairOptions {
    CompareScope scope;
    uint64_t deletion_brake = 0;  // objects; 0: no brake
};

class TreeRepair {
public:
    TreeRepair(const BackingTree& tree, RepairLedger& ledger, const TreeRepairOptions& options);

    // Errors: those of tree and target; permission for the deletion brake: everything is repaired but what the tree has
    // lost is not removed, so nothing is lost and the gap must stay open.
    Status run();
    uint64_t removed() const { return removed_; }
    uint64_t files_compared() const { return objects_.files_compared(); }

private:
    struct Step {
        TreeObject directory;
        bool is_born;    // by this repair
        bool is_finish;  // entries are done, the directory's own attributes remain
    };
    Status visit(const Step& step);
    Status visit_entry(const Step& step, int directory_fd, const TreeObject& object, bool has_name);
    Status remove_what_is_gone();

    const BackingTree& tree_;
    RepairLedger& ledger_;
    const TreeRepairOptions& options_;
    NameRepair names_;
    ObjectRepair objects_;
    std::vector<Step> steps_;
    std::unordered_set<ObjectId> compared_;  // of objects with several names
    uint64_t removed_ = 0;
};

}  // namespace holdfast::rewind
