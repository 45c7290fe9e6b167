// Brings the names of the image to those of the backing tree, one directory at a time, top down.
//
// A name that the tree does not have (or has for another object) is taken away; the object, unless it has other names,
// goes to the staging directory, because somewhere else in the tree it may well live on. A name that the image lacks is
// given: to an object in staging or elsewhere in the image by RENAME or LINK, else to a new one.
//
// Why this order never needs a name twice and never makes a cycle: when a directory is visited, it and all directories
// above it already are where the tree has them. First its wrong names go, so every name that is given is free. An object
// that is moved into it cannot be one of the directories above it, because the tree has those above, not below.
//
// What is left in staging at the end is gone from the tree and is removed.
// Thread rule: one thread.
#pragma once

#include <string>
#include <unordered_set>

#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/repair_ledger.h"

namespace holdfast::rewind {

inline constexpr std::string_view staging_name = ".holdfast-repair";

class NameRepair {
public:
    explicit NameRepair(RepairLedger& ledger) : ledger_(ledger) {}

    // The root's listings: the staging directory must not bear one of these names.
    void avoid_names_of(const std::vector<TreeObject>& tree);
    void avoid_names_of(const std::vector<ViewEntry>& image);
    Status evict(const ObjectId& directory, const ViewEntry& entry);
    // True: OBJECT has the name now. False: the image does not know it, the caller has it born.
    Result<bool> place(const ObjectId& directory, const TreeObject& object);

    // Objects in staging and below, counted up to LIMIT.
    Result<uint64_t> count_staged(uint64_t limit);
    // Returns how many objects that were.
    Result<uint64_t> remove_staged();

private:
    Status make_staging();
    Status remove_entry(const ObjectId& directory, const ViewEntry& entry, uint64_t* removed);
    static std::string staged_name(const ObjectId& object) { return journal::to_string(object); }

    RepairLedger& ledger_;
    std::unordered_set<std::string> names_taken_;
    ObjectId staging_;  // zero: not made yet
    std::string staging_directory_;
    std::unordered_set<ObjectId> staged_;
};

}  // namespace holdfast::rewind
