// Values of the store in the words of the control protocol.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json_socket.h"
#include "rewind/restore/difference.h"

namespace holdfast::rewind {

// "file", "directory", "symlink", "fifo", "socket", "character device", "block device"
const char* type_name(uint32_t mode);
// The first COUNT of CHANGES.
Json changes_to_json(const std::vector<Change>& changes, size_t count);

}  // namespace holdfast::rewind
