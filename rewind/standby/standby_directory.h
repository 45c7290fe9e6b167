// Which directory a replica's store keeps equal to its image (standby_tree.h): part of the volume's description.
// Thread rule: before the store is opened; one process.
#pragma once

#include <string>

#include "base/result.h"
#include "journal/volume.h"

namespace holdfast::rewind {

// VOLUME's standby directory is DIRECTORY from here on (absolute; "": it has none), which is made when it is missing and what lies above it is there. Durable on
// return. What is in a directory that becomes one is compared with the image and replaced, so it must be empty or have been this volume's
// before, unless REPLACES says that this is meant. Errors, with nothing changed: exists (there is something in it), invalid_argument (it lies in a store or in another volume's directory, or the
// other way round), busy (it is protected and mounted), io.
Status set_standby_directory(journal::Volume& volume, const std::string& directory, bool replaces);

}  // namespace holdfast::rewind
