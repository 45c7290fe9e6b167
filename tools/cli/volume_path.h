// From what a person types to a volume and a path in it. History knows paths that no longer exist, so a path is
// never opened here: the part that exists is made real, the rest is taken by its letters.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "journal/volume.h"

namespace holdfast::cli {

struct VolumePath {
    journal::Volume volume;
    std::string relative;  // to the volume's present_directory(), without a leading slash; "" is the directory itself
    std::string absolute;
};

// PATH as an absolute path without ".", ".." and double slashes. Symbolic links are followed in every component
// that exists except the last, so that `log LINK` speaks of the link; a last component of "." or ".." is a directory
// and made real as a whole. CURRENT_DIRECTORY must be absolute. Errors: invalid_argument for an empty path.
Result<std::string> absolute_path(std::string_view path, const std::string& current_directory);
// With the process's own current directory, or $PWD when that directory has been deleted.
Result<std::string> absolute_path(std::string_view path);

// A path in the directory of a source or in the image of a replica; a replica's store, for the top; or ID or ID/PATH of any
// volume of this host. Errors: not_found with a sentence when no volume holds PATH.
Result<VolumePath> resolve_path(std::string_view path);
// A volume by its directory, its store or its id.
Result<journal::Volume> resolve_volume(std::string_view directory_store_or_id);
// The same, or, when nothing was GIVEN, the volume that holds the current directory.
Result<journal::Volume> volume_or_current(std::string_view given);

}  // namespace holdfast::cli
