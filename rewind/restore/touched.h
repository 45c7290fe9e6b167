// What the records between two moments touched: objects, and names in directories. Everything else is the same at both.
// Memory follows the number of distinct objects and names, cost the undo between the moments.
// Thread rule: pure function over a store that may be applying meanwhile.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "base/result.h"
#include "rewind/restore/names_at.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

enum TouchedPart : uint8_t {
    touched_data = 1,
    touched_attributes = 2,  // xattrs included
    touched_names = 4,       // it gained or lost a name
};

struct Touched {
    std::unordered_map<ObjectId, uint8_t> objects;  // TouchedPart
    std::unordered_set<Place> places;
    std::unordered_set<ObjectId> directories;  // whose entries changed
};

// REQUIRES: FROM <= TO.
Result<Touched> touched_between(const Index& index, const UndoLog& undo, Lsn from, Lsn to, const ProgressSink& progress = {});

Error stopped_by_request();

}  // namespace holdfast::rewind
