// Which parts of one object differ between two moments at both of which it exists.
// Thread rule: pure function over a store that may be applying meanwhile.
#pragma once

#include "base/result.h"
#include "rewind/restore/touched_data.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

struct ObjectParts {
    uint32_t parts = 0;  // ChangedPart of difference.h
    uint64_t bytes = 0;  // in ranges that differ
};

Result<ObjectParts> differing_parts(const Store& store, const FileAtTwoMoments& file, const ObjectAttributes& from,
                                    const ObjectAttributes& to);

}  // namespace holdfast::rewind
