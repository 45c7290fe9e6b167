// One record of every type and form that the journal knows, with fixed values: the material of format tests, golden
// files and fuzzing.
#pragma once

#include <vector>

#include "journal/record.h"

namespace holdfast::test {

// The records borrow from constants. Addresses and lengths are not set.
std::vector<journal::Record> sample_records();

// The pieces of an encoded record as one string of bytes, padding excluded.
std::vector<std::byte> joined(const journal::EncodedRecord& record);
std::vector<std::byte> encoded(const journal::Record& record);

}  // namespace holdfast::test
