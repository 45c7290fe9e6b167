// What a store service keeps when it confines itself (base/confine.h): its store, its journal, the capabilities that an image needs.
// docs/confinement.md gives the reasons.
// Thread rule: before the second thread starts.
#pragma once

#include <string>
#include <vector>

#include "base/confine.h"
#include "journal/volume.h"

namespace holdfast::rewind {

// HANDED_IN: directories beneath which descriptors may lead that are passed to it later; READABLE: descriptors of directories that it reads. Errors: those of
// confine(); the process must end then.
Result<Confined> confine_to(const journal::Volume& volume, std::vector<std::string> handed_in, std::vector<int> readable = {});

}  // namespace holdfast::rewind
