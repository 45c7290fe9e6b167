// Finding an object of the image by its handle alone, where the kernel does not open it and nobody knows its name: everything in image and
// graveyard is looked through. The last resort of Image::open_object(); docs/confinement.md says when that comes to pass.
// Thread rule: any thread. What is moved meanwhile may be missed.
#pragma once

#include "rewind/image.h"

namespace holdfast::rewind {

// A directory of the image that has a name for an object, and the name. It costs a listing of every directory: by the inode numbers of the entries, so that
// no object is looked at but the one that is wanted and the directories. Errors: not_found, io.
struct FoundName {
    UniqueFd directory;
    std::string name;
};
Result<FoundName> search_for(const Image& image, const ImageLocation& location);

}  // namespace holdfast::rewind
