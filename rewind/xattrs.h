// The extended attributes of an object of the image, without the product's own and with those that the image has no room for (spilled_xattrs.h).
// FD is OBJECT, which may be open as a place only (O_PATH).
// Thread rule: pure questions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rewind/image.h"

namespace holdfast::rewind {

// Sorted by name. What goes while it is being listed is left out.
Result<std::vector<std::pair<std::string, std::string>>> xattrs_of_object(const Image& image, const ObjectId& object, int fd);
// In no order; one that is in the image and beside it is there twice.
Result<std::vector<std::string>> xattr_names_of_object(const Image& image, const ObjectId& object, int fd);
// Nothing when it is not there.
Result<std::optional<std::string>> xattr_of_object(const Image& image, const ObjectId& object, int fd, std::string_view name);

}  // namespace holdfast::rewind
