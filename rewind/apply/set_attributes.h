// Giving an object of the image exactly the attributes that were recorded, in an order in which they do not undo each
// other: owner first (it clears set-id bits and drops capabilities), then xattrs (an ACL changes the mode), then the mode,
// then the times.
// Thread rule: pure effects on OBJECT of IMAGE, which is open as FD. An attribute that the image has no room for is kept beside it (rewind/spilled_xattrs.h).
#pragma once

#include "base/result.h"
#include "rewind/apply/changes.h"
#include "rewind/image.h"

namespace holdfast::rewind {

// FD is open as open_flags_for() says. With EXACT_XATTRS everything that is not in the change is removed, but for our own.
Status set_attributes(const Image& image, const ObjectId& object, int fd, const ObjectChange& change, bool exact_xattrs);

}  // namespace holdfast::rewind
