// Which names a bookmark may have. A name is a directory name on a past mount (`@NAME`) and one of the ways to say a
// moment, so it must be neither a path nor mistakable for a time, an age or an address.
// Thread rule: pure function.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::journal {

inline constexpr size_t bookmark_name_bytes_max = 254;  // "@NAME" is still a file name

// Errors: invalid_argument with a sentence that says what is wrong with it. Beyond that a name is bytes, as a
// file's name is.
Status check_bookmark_name(std::string_view name);

// "WHAT-20261124-031500", in local time: neither a time nor an age, and sorted as time is.
std::string bookmark_name_of(std::string_view what, uint64_t time_ns);

}  // namespace holdfast::journal
