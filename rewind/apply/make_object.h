// Making one object of a tree, so that a crash in the middle is recognized. In an image the object carries its id before it is
// anything else, and what is found at its name without an id is the rest of an attempt that is repeated. In a standby tree every object is made in
// the graveyard, and what lies there under an id that is not its own is the rest of one.
// Thread rule: the applier's thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rewind/image.h"

namespace holdfast::rewind {

struct NewObject {
    ObjectId id;
    uint32_t mode;  // only the type bits matter; the permissions stay closed until attributes are set
    uint64_t rdev = 0;
    std::string_view target;
};

struct MadeObject {
    ImageLocation location;
    UniqueFd fd;  // opened as open_flags_for() says
};

// Errors: exists when the name belongs to an object that has an id.
Result<MadeObject> make_object(const Image& image, int directory_fd, const std::string& name, const NewObject& object);

// True when an attempt that a crash cut short stood at NAME and was taken away. False when nothing stands there, or an
// object with an id.
Result<bool> remove_unfinished(const Image& image, int directory_fd, const std::string& name);

// Opens the object NAME of DIRECTORY_FD and finds out where it lies. LINKS of the location is what fstat says.
Result<MadeObject> open_named(int directory_fd, const std::string& name);

}  // namespace holdfast::rewind
