// Which objects a path has led to in the course of the window, itself or through directories that were renamed or
// replaced.
// Thread rule: pure function over a store that may be applying meanwhile.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "rewind/index/index.h"

namespace holdfast::rewind {

class Store;

// OBJECT had the path from the record at FROM on, up to the one at TO (lsn_max: it still has it).
struct Holder {
    ObjectId object;
    Lsn from = 0;
    Lsn to = 0;
};

// Oldest first; an object that had the path twice is there twice. PATH is normal (names_at.h).
Result<std::vector<Holder>> holders_of(const Store& store, std::string_view path);

}  // namespace holdfast::rewind
