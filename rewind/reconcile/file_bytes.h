// How the bytes of the files of a source tree come into the image: read from a file of this host at once (tree_bytes.h), or
// asked for and written when they have come (sync/remote_bytes.h).
// Thread rule: one thread.
#pragma once

#include "rewind/reconcile/source_tree.h"

namespace holdfast::rewind {

class FileBytes {
public:
    virtual ~FileBytes() = default;

    // Of a file that was just born empty in the image. With its bytes it gets what writing takes from it, and its mtime.
    virtual Status fill(SourceDirectory& directory, const TreeObject& object) = 0;
    // OBJECT is in the image, where it has the attributes SEEN. Returns whether its mtime has moved and is the caller's to set.
    virtual Result<bool> compare(SourceDirectory& directory, const TreeObject& object, const ObjectAttributes& seen) = 0;
};

}  // namespace holdfast::rewind
