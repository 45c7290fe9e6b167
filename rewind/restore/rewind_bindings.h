// Which directory entries a rewind has to change, and what each of them led to and shall lead to.
//
// An entry counts when its path lies in the rewound path now or then. Around that:
// - an object that shall come in and lives elsewhere leaves the place where it lives;
// - an object that is in and lived elsewhere then goes back there, or beside it under a name that says so, because it was
//   not asked about and must not be lost;
// - a directory that shall hold something and is gone comes back; one that another directory has taken the place of is
//   represented by that one;
// - what is left out stays as it is, and what would have to go into it stays where it is (left_alone.h).
// Thread rule: one thread.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "rewind/restore/left_alone.h"
#include "rewind/restore/name_steps.h"
#include "rewind/restore/touched.h"

namespace holdfast::rewind {

class RewindBindings {
public:
    // PATH is normal. NOW, THEN and ALONE outlive this; what stays because it is left out is noted in ALONE.
    RewindBindings(const Store& store, std::string path, NamesAt& now, NamesAt& then, LeftAlone& alone)
        : store_(store), path_(std::move(path)), now_(now), then_(then), alone_(alone) {}

    Status collect(const Touched& touched);

    const std::vector<Binding>& bindings() const { return bindings_; }
    const std::unordered_map<ObjectId, NamedObject>& objects() const { return objects_; }

private:
    bool is_inside(const std::optional<std::string>& path) const;
    Status add(const Place& place, const ObjectId& now, const ObjectId& then);
    Status learn(const ObjectId& object);
    Status bring_back_directories();
    Result<Place> live_place(const Place& place);
    Status bring_in();
    Status send_home();
    Result<bool> is_left_out(const Place& place);
    Status leave_in_place(const ObjectId& object);
    Result<Place> free_place_near(const Place& place);

    const Store& store_;
    const std::string path_;
    NamesAt& now_;
    NamesAt& then_;
    LeftAlone& alone_;
    std::vector<Binding> bindings_;
    std::unordered_set<Place> places_;
    std::unordered_map<ObjectId, NamedObject> objects_;
};

}  // namespace holdfast::rewind
