// What an image must be changed in to be as it was before a run of records: read from their undo.
//
// Thread rule: plain value, movable. What changes() borrows lives as long as this.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rewind/apply/batch.h"
#include "rewind/apply/changes.h"
#include "rewind/index/index.h"

namespace holdfast::rewind {

class PastChanges {
public:
    // From the undo record at FROM to the newest one. Memory: about what is saved of names, attributes and xattrs; none for bytes.
    static Result<PastChanges> collect(const UndoLog& undo, UndoAddress from);

    // For every name, attribute and xattr what it was.
    Changes& changes() { return changes_; }
    // Objects that did not exist. They get no name, so they end in the graveyard.
    const std::vector<ObjectId>& unborn() const { return unborn_; }
    // Objects that existed and something of which was saved, with the size they had where a record says so.
    const std::unordered_map<ObjectId, std::optional<uint64_t>>& files() const { return sizes_; }
    // The names that were held.
    std::vector<Index::HeldName> names() const;

private:
    void take(const UndoRecord& record);
    void take(const UndoItem& item);

    struct NameHash {
        size_t operator()(const std::pair<ObjectId, std::string_view>& name) const {
            return std::hash<ObjectId>()(name.first) * 31 + std::hash<std::string_view>()(name.second);
        }
    };
    Changes changes_;
    std::vector<ObjectId> unborn_;
    std::unordered_map<ObjectId, std::optional<uint64_t>> sizes_;
    std::unordered_set<std::pair<ObjectId, std::string_view>, NameHash> seen_names_;
    Arena memory_;
};

}  // namespace holdfast::rewind
