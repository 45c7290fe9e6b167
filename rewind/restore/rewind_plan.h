// What a rewind will do, by object: names first, then the objects' own state, directories' attributes last.
// Thread rule: plain values.
#pragma once

#include <vector>

#include "rewind/restore/left_alone.h"
#include "rewind/restore/name_steps.h"

namespace holdfast::rewind {

inline constexpr std::string_view rewind_staging_prefix = ".holdfast-rewind-";

struct RewindWork {
    std::vector<NameStep> names;
    // Objects other than directories that live through the rewind and whose own state differs.
    std::vector<ObjectId> contents;
    // Directories whose attributes are to be those of the moment; the ones that are made anew among them.
    std::vector<ObjectId> directories;
    LeftAlone alone;
};

}  // namespace holdfast::rewind
