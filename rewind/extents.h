// Sets of byte ranges: which parts of a file are data, which were touched.
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/result.h"
#include "rewind/view.h"

namespace holdfast::rewind {

// Disjoint ranges in ascending order; ranges that touch are one.
class ExtentSet {
public:
    ExtentSet() = default;
    explicit ExtentSet(const std::vector<DataExtent>& extents);

    void add(uint64_t offset, uint64_t length);
    void remove(uint64_t offset, uint64_t length);
    void clip(uint64_t size) { remove(size, ~0ULL - size); }
    bool empty() const { return ends_.empty(); }
    uint64_t bytes() const;
    std::vector<DataExtent> take() const;

private:
    std::map<uint64_t, uint64_t> ends_;  // start -> end
};

// The data of an open file as its file system reports it (SEEK_DATA, SEEK_HOLE); one extent where it cannot.
Result<std::vector<DataExtent>> data_extents_of(int fd);

}  // namespace holdfast::rewind
