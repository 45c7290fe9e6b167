// The bytes of one file become those of another: shared where the file system can (FICLONE), else copied extent by extent,
// so that holes stay holes.
// Thread rule: pure effects on the two files, whose descriptors are borrowed.
#pragma once

#include <functional>

#include "base/result.h"

namespace holdfast::rewind {

// Afterwards TARGET is SIZE bytes long, whatever it was. PROGRESS is told the bytes since it was told last.
Status copy_file(int source, int target, uint64_t size, const std::function<void(uint64_t)>& progress = {});
// The bytes and holes of [from, end) alone, never shared. REQUIRES: both files reach as far.
Status copy_part(int source, int target, uint64_t from, uint64_t end);

}  // namespace holdfast::rewind
