// Holds two directory trees against each other as rsync -aHAX --checksum would: names, types, bytes, holes, owners, modes,
// mtimes, xattrs (but the product's own, so that an image can be compared), which names are hard links of one file.
#pragma once

#include <string>

namespace holdfast::test {

// The first difference, or "".
std::string tree_difference(const std::string& left, const std::string& right);

}  // namespace holdfast::test
