// The doorkeeper's own side of the door (service/doorkeeper.h): what the forked process runs.
#pragma once

#include "base/unique_fd.h"
#include "journal/volume.h"

namespace holdfast::rewind {

// Answers at CHANNEL until its end. VIEW_FD: a read-only view whose directories are asked for; -1: none. Returns the process's exit status.
int keep_door(const journal::Volume& volume, UniqueFd channel, int view_fd);

}  // namespace holdfast::rewind
