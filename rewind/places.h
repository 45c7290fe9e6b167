// Where the objects of a tree lie, by their ids.
//
// What happened to an object is the index's, and the same on every host. Where it lies is the tree's: a store's image and a standby
// tree (standby/) hold the same objects in different files.
// Thread rule: as of who implements it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "journal/ids.h"

namespace holdfast::rewind {

using journal::ObjectId;

// Independent of the object's names: the handle of its file.
struct ImageLocation {
    std::string handle;   // file handle bytes with their type in front (base/file_handle.h)
    uint32_t mode = 0;    // type bits
    uint32_t links = 0;   // names in the tree; 0: in its graveyard
};

struct LocationChange {
    ObjectId object;
    std::optional<ImageLocation> location;  // nothing: it is gone
};

class Places {
public:
    virtual ~Places() = default;
    // Nothing: the tree has no such object.
    virtual Result<std::optional<ImageLocation>> location(const ObjectId& object) const = 0;
    virtual Status take_in(const std::vector<LocationChange>& changes) = 0;
};

}  // namespace holdfast::rewind
