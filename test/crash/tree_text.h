// A directory tree as text, for comparing two: names, types, modes, owners, link counts, sizes, bytes, targets, extended
// attributes. Not the times, and not the inode numbers, which no two trees share.
#pragma once

#include <string>

namespace holdfast::test {

std::string tree_text(const std::string& directory);

}  // namespace holdfast::test
