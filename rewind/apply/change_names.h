// Brings the names of the image to the state that a Changes wants, and makes the objects that were born.
//
// Three passes: names that must go are taken away, objects are made, wanted names are given. An object that loses its
// last name goes to the graveyard in one rename and comes back from there the same way, so no step loses an object, and
// after the first pass whatever still stands at a touched name is right; adding edges of the final tree to a part of
// the final tree can make no cycle. So the passes converge from every state, and after a crash they are simply run again.
//
// Thread rule: the applier's thread.
#pragma once

#include <unordered_set>

#include "rewind/apply/changes.h"
#include "rewind/apply/object_files.h"

namespace holdfast::rewind {

class NameChanger {
public:
    NameChanger(ObjectFiles& files, Changes& changes) : files_(files), changes_(changes) {}

    // After a crash: finds out what stands at each touched name and where each touched object lies, because neither
    // what the records say was there nor what the index knows need be true.
    Status discover();
    // REQUIRES: the current names of CHANGES are those of the image, by the records or by discover().
    Status run();

private:
    Status index_names();
    Status vacate();
    Status make_births();
    Status make(const ObjectId& object, ObjectChange& change);
    Status place();
    Status give(NameChange& name);
    Result<int> bring(const ObjectId& directory, int into, const std::string& name);
    Status take_away(NameChange& name);
    Status count_links();

    Status find_in_graveyard(const ObjectId& object);
    Result<bool> locate(const ObjectId& object);
    Result<bool> scan(NameChange& name);

    ObjectFiles& files_;
    Changes& changes_;
    std::unordered_map<ObjectId, std::vector<size_t>> missing_;  // wanted names that do not lead to the object yet
    std::unordered_map<ObjectId, std::vector<size_t>> stale_;    // names that lead to it and shall not
    std::unordered_set<ObjectId> graves_;                        // touched objects in the graveyard
    std::unordered_set<ObjectId> recount_;                       // whose number of names may have changed
    std::vector<ObjectId> untold_;                               // made or found here, of which the places must know before names are given
    std::unordered_set<ObjectId> located_;                       // discover(): their location was verified
};

}  // namespace holdfast::rewind
