// Differences between two moments as a person reads them, shared by `diff` and `rewind`.
// Thread rule: pure functions.
#pragma once

#include <string>

#include "tools/cli/output.h"

namespace holdfast::cli {

// One line for one change of the control protocol's `diff`: "M reports/a.txt  (data, mode; 12 KiB)".
std::string change_line(const Json& change);

}  // namespace holdfast::cli
