// What says that a replica's image is being made equal to its source's by comparison: the small file STORE/repairing.
//
//   made, with `is_complete` false       before the first change; from here on the image is no moment of the source's. Also by the engine, without
//                                        a point, when somebody asks for a repair of an image that was changed behind the product's back
//   replaced, with `is_complete` true    image and position are those of AT, durably
//   removed                              when the inbound journal begins at `begin` and holds something, durably
//
// A crash in between: the repair is made again, or, when it was complete, only the journal's part of it. Until the mark is
// gone no session may be told that the replica ends where its inbound journal ends.
//
// Thread rule: pure functions; one writer, and the engine that reads it runs the writer.
#pragma once

#include <optional>

#include "base/disk.h"
#include "base/json.h"
#include "base/result.h"
#include "journal/ids.h"
#include "journal/segment.h"

namespace holdfast::rewind {

// The moment of the source's history that a replica is made equal to, and where its journal goes on.
struct RepairPoint {
    journal::Lsn at = 0;
    uint64_t time_ns = 0;                          // of AT, by the source's clock
    journal::Lsn begin = 0;                        // the segment that holds AT begins here
    journal::ChainHash::Value begin_chain{};       // over everything before it
    bool operator==(const RepairPoint&) const = default;
};

struct RepairMark {
    bool is_complete = false;
    RepairPoint point;
    bool is_of_everything = false;  // somebody asked, who trusts nothing of the image
    bool operator==(const RepairMark&) const = default;
};

// Nothing: no repair is under way. Errors: corrupt, io.
Result<std::optional<RepairMark>> load_repair_mark(Disk& store);
// Durable on return.
Status save_repair_mark(Disk& store, const RepairMark& mark);
Status remove_repair_mark(Disk& store);  // also when there is none

// How a point travels between engine and store service. Errors: corrupt.
Json to_json(const RepairPoint& point);
Result<RepairPoint> repair_point_of(const Json& json);

}  // namespace holdfast::rewind
