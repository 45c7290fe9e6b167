// Which directory entries a rewind has to change, and what each of them led to and shall lead to.
//
// An entry counts when its path lies in the rewound path now or then. Around that:
// - an object that shall come in and lives elsewhere leaves the place where it lives;
// - an object that is in and lived elsewhere then goes back there, or beside it under a name that says so, because it was
//   not asked about and must not be lost;
// - a directory that shall hold something and is gone comes back; one that another directory has taken the place of is
//   represented by that one.
// Thread rule: one thread.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "rewind/restore/name_steps.h"
#include "rewind/restore/touched.h"

namespace holdfast::rewind {

class RewindBindings {
public:
    // PATH is normal. NOW and THEN outlive this.
    RewindBindings(const Store& store, std::string path, NamesAt& now, NamesAt& then)
        : store_(store), path_(std::move(path)), now_(now), then_(then) {}

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
    Result<Place> free_place_near(const Place& place);

    const Store& store_;
    const std::string path_;
    NamesAt& now_;
    NamesAt& then_;
    std::vector<Binding> bindings_;
    std::unordered_set<Place> places_;
    std::unordered_map<ObjectId, NamedObject> objects_;
};

}  // namespace holdfast::rewind
