// Removes an entry with everything below it: beneath a held descriptor, symbolic links are removed and not followed, a
// tree may be deeper than descriptors or this program's stack allow.
// Thread rule: pure function.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast::rewind {

// Nothing there is fine. Errors: io, permission.
Status remove_tree(int directory_fd, const std::string& name);

}  // namespace holdfast::rewind
