// The extended attributes of an object of the image, without the product's own.
// Thread rule: pure questions about the object behind FD.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rewind/image.h"

namespace holdfast::rewind {

// Sorted by name, those that the image has no room for among them. FD is OBJECT, which may be open as a place only (O_PATH). What goes while it is being
// listed is left out.
Result<std::vector<std::pair<std::string, std::string>>> xattrs_of_object(const Image& image, const ObjectId& object, int fd);

}  // namespace holdfast::rewind
