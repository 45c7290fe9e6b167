// Where the mount of a directory with something left out is put together before it is moved there (docs/decisions/0015).
// Thread rule: pure function.
#pragma once

#include <string>

#include "journal/volume.h"

namespace holdfast::journal {

inline std::string assembly_directory(const VolumeId& id) {
    return run_directory(id) + "/assembly";
}

}  // namespace holdfast::journal
