// Decides for each record of a batch what it overwrites, and writes that to the undo log, before the image is changed.
//
// The records of a batch follow one another upon the same bytes, names and attributes. So the planner keeps, for what
// the batch touches, the state as of the record in turn: the image's with the batch's earlier records on top. A record's
// undo is read from that state, and then the record is added to it.
//
// Holes are saved as whole blocks of the image's file system, because a block is what becomes data when one byte of it is
// written. Within a block, what is not written is then zeros.
//
// Attributes are saved by every record that changes them; but of the records that change nothing but the time of
// modification only the first saves it: between two times that were set exactly (SETATTR) it is not history.
//
// Thread rule: the applier's thread; one planner per batch.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "rewind/apply/batch.h"
#include "rewind/apply/changes.h"
#include "rewind/apply/object_files.h"
#include "rewind/apply/pieces.h"
#include "rewind/apply/undo_builder.h"

namespace holdfast::rewind {

// Objects whose time of modification was saved since it was last set exactly. Forgetting one costs an undo item.
using UnsettledTimes = std::unordered_set<ObjectId>;
inline constexpr size_t unsettled_times_max = 200'000;

class UndoPlanner {
public:
    UndoPlanner(ObjectFiles& files, UndoBuilder& builder, Changes& changes, UnsettledTimes& unsettled, Arena& arena,
                uint64_t block_bytes)
        : files_(files), builder_(builder), changes_(changes), unsettled_(unsettled), arena_(arena), block_(block_bytes) {}

    // Writes the undo of RECORD and adds RECORD to the changes. REQUIRES: a record that shifts bytes is the only one of
    // its batch. Errors: corrupt when the image cannot be what the record changes.
    Status plan(const Record& record);

private:
    // An object as of the record in turn. attributes.nlink counts its names; 0: in the graveyard.
    struct Pending {
        ObjectAttributes attributes;
        bool in_image = false;
        uint64_t image_size = 0;
        Pieces pieces;
    };
    enum class Save { all, data_only, holes_only };

    Result<Pending*> pending(const ObjectId& object);
    Status plan_effect(const Record& record);
    // undo_planner.cc
    Status save_attributes(const ObjectId& object, const Pending& state);
    Status change_time(const ObjectId& object, Pending& state, const Record& record, bool changes_more);
    Status plan_attributes(const Record& record);
    Status plan_xattr(const Record& record, std::string_view name);
    Status save_xattr(const ObjectId& object, const Pending& state, std::string_view name);
    Result<std::optional<std::string_view>> xattr_now(const ObjectId& object, const Pending& state, std::string_view name);
    Status keep_capability(const ObjectId& object, const Pending& state);
    Status plan_event(const Record& record);
    // undo_planner_names.cc
    Status plan_birth(const Record& record);
    Status plan_rebirth(const Record& record, Pending& state);
    Status plan_link(const Record& record);
    Status plan_unlink(const Record& record);
    Status plan_rename(const Record& record);
    Status keep_time_of_moved(const ObjectId& object);
    Status save_name(const ObjectId& directory, std::string_view name, const ObjectId& previous, const Record& record);
    Status lose_name(const ObjectId& object, const Record& record);
    // undo_planner_data.cc
    Status plan_data(const Record& record);
    Status plan_write(const ObjectId& object, Pending& state, const journal::Write& body);
    Status plan_truncate(const ObjectId& object, Pending& state, uint64_t size);
    Status plan_fallocate(const ObjectId& object, Pending& state, const journal::Fallocate& body);
    Status save_range(const ObjectId& object, const Pending& state, uint64_t from, uint64_t end, Save what);
    Status save_image(const ObjectId& object, const Pending& state, uint64_t from, uint64_t end, Save what);
    Status save_extents(const ObjectId& object, uint64_t from, uint64_t end, Save what);
    Status save_zeros(const ObjectId& object, uint64_t from, uint64_t end);
    Status save_hole(const ObjectId& object, uint64_t from, uint64_t end);
    Status flush_hole(const ObjectId& object);
    Status save_touched_tail(const ObjectId& object, const Pending& state, uint64_t from);
    Status save_touched_hole(const ObjectId& object, const Pending& state, uint64_t offset);
    Result<bool> is_hole(const ObjectId& object, const Pending& state, uint64_t offset);
    Status clear(const ObjectId& object, Pending& state, uint64_t from, uint64_t end);
    Status fill_block_around(const ObjectId& object, Pending& state, uint64_t from, uint64_t end);

    uint64_t down(uint64_t offset) const { return offset / block_ * block_; }
    uint64_t up(uint64_t offset) const { return down(offset + block_ - 1); }

    ObjectFiles& files_;
    UndoBuilder& builder_;
    Changes& changes_;
    UnsettledTimes& unsettled_;
    Arena& arena_;
    const uint64_t block_;
    std::unordered_map<ObjectId, Pending> pending_;
    uint64_t hole_from_ = 0, hole_end_ = 0;  // holes found but not written yet; neighbours become one item
};

}  // namespace holdfast::rewind
