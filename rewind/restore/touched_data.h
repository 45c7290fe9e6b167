// Where the bytes of a file differ between two moments.
// Thread rule: pure functions over a store that may be applying meanwhile.
#pragma once

#include <functional>
#include <vector>

#include "rewind/view.h"

namespace holdfast::rewind {

class Store;

// Two moments of one file.
struct FileAtTwoMoments {
    ObjectId object;
    Lsn from = 0;
    Lsn to = 0;
    uint64_t from_size = 0;
    uint64_t to_size = 0;
};

struct DifferingRange {
    uint64_t offset = 0;
    uint64_t length = 0;   // at most differing_range_bytes_max
    bool hole = false;     // at TO it is a hole
    ByteSpan bytes;        // at TO, unless it is a hole
};
inline constexpr uint64_t differing_range_bytes_max = 1 << 20;

// Calls VISIT for every range below TO's size that must change to get from FROM to TO, in ascending order, in whole
// blocks of 4 KiB but at the end of the file. Only what was touched in between is read and compared.
Status visit_differing(const Store& store, const FileAtTwoMoments& file,
                       const std::function<Status(const DifferingRange&)>& visit);

}  // namespace holdfast::rewind
