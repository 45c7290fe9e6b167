// The mount of the past in the words of libfuse's low-level interface.
// Thread rule: libfuse may call the operations from any thread.
#pragma once

#include <fuse3/fuse_lowlevel.h>

namespace holdfast::rewind {

// The userdata of the session is a PastFilesystem, which outlives it.
const fuse_lowlevel_ops& past_operations();

}  // namespace holdfast::rewind
