// Compares a replica's store with its source's at one moment, and tells what differs. Nothing is changed on either side, and nothing is held up:
// both look at a view of the same moment of the same history, so a difference is one (SPEC N-06, R-34).
//
// Objects are compared in the order of their ids, not of their names, so that a comparison can be done in parts at different moments: a
// part is exact at its own, and what keeps being renamed is not passed over. A part ends when enough was read; the next one goes on there.
//
// Thread rule: any one thread. Blocks on line and disk. Memory: a page of objects, and what is listed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "rewind/sync/object_digest.h"
#include "rewind/sync/questions.h"

namespace holdfast::rewind {

inline constexpr size_t differences_listed_max = 100;
// What an object costs beside its bytes, when a part is measured.
inline constexpr uint64_t compared_object_cost = 4096;

// All objects up to `after` were compared, but of its own bytes those from `offset` on when that is not zero.
struct ComparePosition {
    ObjectId after;
    uint64_t offset = 0;
    bool operator==(const ComparePosition&) const = default;
};

struct Difference {
    std::string path;  // quoted, so that it can be shown
    std::string what;  // as "mode 644 here, 600 there; bytes from 0 to 65536"
};

struct ComparedPart {
    Lsn at = 0;
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t differences = 0;          // objects that differ
    std::vector<Difference> listed;    // the first of them
    bool is_last = false;              // there is nothing behind it
    ComparePosition position;          // where the next part begins
};

struct CompareOptions {
    ComparePosition from;
    uint64_t bytes_max = UINT64_MAX;  // read here, about
    // Asked now and then. Errors end the comparison.
    std::function<Status(const ComparedPart&)> progress;
};

// REQUIRES: store.check_moment(AT) succeeded here, and at the source. Errors: corrupt (the source makes no sense), not_found (the moment has left
// the window), unavailable (the line broke), io.
Result<ComparedPart> compare_stores(const Store& store, Lsn at, SyncLine& line, const CompareOptions& options);

Json to_json(const ComparedPart& part);
Json to_json(const ComparePosition& position);
// Errors: corrupt.
Result<ComparedPart> compared_part_of(const Json& json);
Result<ComparePosition> compare_position_of(const Json& json);

}  // namespace holdfast::rewind
