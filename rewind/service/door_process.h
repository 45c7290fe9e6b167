// The doorkeeper's own side of the door (service/doorkeeper.h): what the forked process runs.
#pragma once

#include "base/unique_fd.h"
#include "journal/volume.h"

namespace holdfast::rewind {

// Answers at CHANNEL until its end. Returns the process's exit status.
int keep_door(const journal::Volume& volume, UniqueFd channel);

}  // namespace holdfast::rewind
