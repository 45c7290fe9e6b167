// The order in which names of a live tree are changed so that every entry leads where it led at a past moment.
//
// Pure: bindings in, steps out. A directory is brought to its place before anything is brought into it, objects that
// live are moved and never copied, a place that is needed is freed first, by staging what stands there if that is needed
// elsewhere. Files that are not needed are replaced in one rename or removed first; directories that are not needed last,
// when they are empty.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "rewind/restore/names_at.h"

namespace holdfast::rewind {

// The directory at the volume's top where objects wait whose place is not free yet. No object of a host has this id.
inline constexpr ObjectId staging_object{2, 0, 0};

struct Binding {
    Place place;
    ObjectId now;   // zero: nothing
    ObjectId then;  // zero: nothing
    uint32_t depth_now = 0;   // components of the place's path; of one that is not there: 0
    uint32_t depth_then = 0;
};

struct NamedObject {
    bool is_directory = false;
    uint32_t names_now = 0;  // all of them, unchanged ones too; 0: it must be made anew
};

struct NameStep {
    enum class Kind : uint8_t {
        unlink,            // from
        remove_directory,  // from
        move,              // from -> to
        link,              // any name of the object -> to
        create,            // to
    };
    Kind kind;
    ObjectId object;
    Place from;
    Place to;
    ObjectId replaces;  // move, create: a file that stands at `to` and is not needed
    bool operator==(const NameStep&) const = default;
};

// REQUIRES: places are distinct; now and then of each differ; OBJECTS knows all of them.
std::vector<NameStep> plan_names(const std::vector<Binding>& bindings,
                                 const std::unordered_map<ObjectId, NamedObject>& objects);

}  // namespace holdfast::rewind
