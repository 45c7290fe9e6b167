// A small file that is only ever read and replaced whole: a cursor, a description, a list of bookmarks.
// Thread rule: one writer per name at a time, because the new contents pass through the file NAME.new.
#pragma once

#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"

namespace holdfast {

inline constexpr std::string_view small_file_suffix = ".new";

// After a crash at any point NAME holds either the old or the new contents. Durable on return.
Status replace_small_file(Disk& disk, std::string_view name, std::string_view contents);
// Errors: not_found; corrupt when it is longer than BYTES_MAX.
Result<std::string> read_small_file(Disk& disk, std::string_view name, size_t bytes_max);
// What FD has from where it stands, at most BYTES_MAX of it. Errors: those of the system call.
Result<std::string> read_text(int fd, size_t bytes_max);
// Also when there is none. Durable on return.
Status remove_small_file(Disk& disk, std::string_view name);

}  // namespace holdfast
