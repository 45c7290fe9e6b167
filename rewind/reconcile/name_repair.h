// Brings the names of the image to those of the backing tree, one directory at a time, top down.
//
// A name that the tree does not have is noted and taken away at the end, because somewhere further on the object may well
// live under another name, and then it is renamed. A name that the tree has for another object is needed at once: its
// object goes to the staging directory. A name that the image lacks is given: to an object that is noted, staged or
// elsewhere in the image by RENAME or LINK, else to a new one.
//
// Why this order never needs a name twice and never makes a cycle: when a directory is visited, it and all directories
// above it already are where the tree has them. First the names that are needed are freed. An object that is moved into it
// cannot be one of the directories above it, because the tree has those above, not below.
//
// What is noted or staged at the end is gone from the tree and is removed.
//
// Memory: names that are wrong, and the directories that have some.
// Thread rule: one thread.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "rewind/reconcile/source_tree.h"
#include "rewind/reconcile/repair_ledger.h"

namespace holdfast::rewind {

inline constexpr std::string_view staging_name = ".holdfast-repair";

class NameRepair {
public:
    explicit NameRepair(RepairLedger& ledger) : ledger_(ledger) {}

    // The root's listings: the staging directory must not bear one of these names.
    void avoid_names_of(const std::vector<TreeObject>& tree);
    void avoid_names_of(const std::vector<ViewEntry>& image);
    // ENTRY of DIRECTORY is wrong; IS_NEEDED: the tree has the name for another object.
    Status evict(const TreeObject& directory, const ViewEntry& entry, bool is_needed);
    // OBJECT was evicted, and everybody knows why: it does not count as gone.
    void is_meant_to_go(const ObjectId& object) { meant_.insert(object); }
    // True: OBJECT has the name now. False: the image does not know it, the caller has it born.
    Result<bool> place(const ObjectId& directory, const TreeObject& object);
    // The mtime of DIRECTORY is set by finish(), because until then names may still leave it.
    bool is_late(const ObjectId& directory) const { return late_.count(directory) != 0; }

    // Objects that are gone from the tree and not meant to be, counted up to LIMIT.
    Result<uint64_t> count_gone(uint64_t limit);
    // Removes them and sets the mtimes of the directories that lost names. Returns how many objects went.
    Result<uint64_t> finish();

private:
    Status make_staging();
    Status remove_entry(const ImageName& place, const ObjectId& object, uint64_t* removed);

    RepairLedger& ledger_;
    std::unordered_set<std::string> names_taken_;
    ObjectId staging_;  // zero: not made yet
    std::string staging_directory_;
    std::unordered_map<ObjectId, std::vector<ImageName>> gone_;  // as far as is known until now
    std::unordered_map<ObjectId, ObjectAttributes> late_;
    std::unordered_set<ObjectId> meant_;
};

}  // namespace holdfast::rewind
