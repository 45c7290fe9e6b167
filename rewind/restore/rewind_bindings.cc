#include "rewind/restore/rewind_bindings.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"
#include "rewind/restore/rewind_plan.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

uint32_t depth_of(const std::optional<std::string>& path) {
    if (!path) return 0;
    return 1 + static_cast<uint32_t>(std::count(path->begin(), path->end(), '/'));
}

}  // namespace

bool RewindBindings::is_inside(const std::optional<std::string>& path) const {
    // What an interrupted rewind has left in its staging directory belongs to every rewind.
    return path && (is_below(*path, path_) || path->starts_with(rewind_staging_prefix));
}

Status RewindBindings::learn(const ObjectId& object) {
    if (!object || objects_.count(object)) return ok();
    const auto location = HF_TRY(store_.index().location(object));
    if (!location) return Error{ErrorCode::not_found, "an object of that moment has left the window meanwhile"};
    objects_[object] = {S_ISDIR(location->mode), static_cast<uint32_t>(HF_TRY(now_.names(object)).size())};
    return ok();
}

Status RewindBindings::add(const Place& place, const ObjectId& now, const ObjectId& then) {
    if (now == then) return ok();
    if (alone_.stays(now) || alone_.stays(then)) {
        const ObjectId& staying = alone_.stays(now) ? now : then;
        const auto stays_at = HF_TRY(now_.directory_path(staying));
        if (stays_at) alone_.note(*stays_at);
        return ok();
    }
    if (!places_.insert(place).second) return ok();
    HF_TRY(learn(now));
    HF_TRY(learn(then));
    const auto now_path = HF_TRY(now_.path(place));
    const auto then_path = HF_TRY(then_.path(place));
    bindings_.push_back({place, now, then, depth_of(now_path), depth_of(then_path ? then_path : now_path)});
    return ok();
}

Status RewindBindings::collect(const Touched& touched) {
    std::vector<Place> places(touched.places.begin(), touched.places.end());
    std::sort(places.begin(), places.end());
    for (const Place& place : places) {
        if (!is_inside(HF_TRY(now_.path(place))) && !is_inside(HF_TRY(then_.path(place)))) continue;
        if (HF_TRY(is_left_out(place))) continue;
        HF_TRY(add(place, HF_TRY(now_.object_at(place)), HF_TRY(then_.object_at(place))));
    }
    HF_TRY(bring_back_directories());
    HF_TRY(bring_in());
    return send_home();
}

Status RewindBindings::bring_back_directories() {
    // Bindings grow while they are looked at: a directory that comes back needs its own parent.
    for (size_t i = 0; i < bindings_.size(); ++i) {
        const Binding binding = bindings_[i];
        if (!binding.then) continue;
        const Place live = HF_TRY(live_place(binding.place));
        if (live == binding.place) continue;
        // Another directory stands where the old one was: it takes the entry in.
        places_.erase(binding.place);
        const ObjectId now = HF_TRY(now_.object_at(live));
        bindings_.erase(bindings_.begin() + static_cast<ptrdiff_t>(i));
        --i;
        HF_TRY(add(live, now, binding.then));
    }
    return ok();
}

// PLACE, once its directory lives; or the same name in the directory that stands for it now.
Result<Place> RewindBindings::live_place(const Place& place) {
    const ObjectId directory = place.directory;
    if (directory == journal::root_object) return place;
    HF_TRY(learn(directory));
    if (objects_.at(directory).names_now > 0) return place;
    const auto is_directory_itself = [&](const Binding& binding) { return binding.then == directory; };
    if (std::any_of(bindings_.begin(), bindings_.end(), is_directory_itself)) return place;
    const auto names = HF_TRY(then_.names(directory));
    if (names.empty()) return Error{ErrorCode::corrupt, "a directory of that moment has no name in the index"};
    const Place own = HF_TRY(live_place(names.front()));
    const ObjectId occupant = HF_TRY(now_.object_at(own));
    if (!occupant) {
        HF_TRY(add(own, {}, directory));
        return place;
    }
    HF_TRY(learn(occupant));
    if (objects_.at(occupant).is_directory) return Place{occupant, place.name};
    return Error{ErrorCode::exists, quoted(own.name) + " was a directory then and is a file now; rewind that path first",
                 ENOTDIR};
}

Status RewindBindings::bring_in() {
    std::unordered_map<ObjectId, int> balance;  // places that an object needs, less those that it gives up
    for (const Binding& binding : bindings_) {
        if (binding.then) ++balance[binding.then];
        if (binding.now) --balance[binding.now];
    }
    for (const auto& [object, missing] : balance) {
        if (missing <= 0 || objects_.at(object).names_now == 0) continue;
        // Names that it has now and did not have then, outside of the path: that is where it was moved to.
        const auto then_names = HF_TRY(then_.names(object));
        int left = missing;
        for (const Place& place : HF_TRY(now_.names(object))) {
            if (left == 0) break;
            if (places_.count(place) || std::find(then_names.begin(), then_names.end(), place) != then_names.end()) continue;
            HF_TRY(add(place, object, {}));
            --left;
        }
    }
    return ok();
}

Status RewindBindings::send_home() {
    std::unordered_map<ObjectId, uint32_t> leaving;  // names that go
    std::unordered_set<ObjectId> staying;
    for (const Binding& binding : bindings_) {
        if (binding.now) ++leaving[binding.now];
        if (binding.then) staying.insert(binding.then);
    }
    for (const auto& [object, names] : leaving) {
        if (staying.count(object) || names < objects_.at(object).names_now) continue;
        // Its last name goes. If it lived at that moment, it lived outside of the path.
        const auto then_names = HF_TRY(then_.names(object));
        if (then_names.empty()) continue;
        if (HF_TRY(is_left_out(then_names.front()))) {
            HF_TRY(leave_in_place(object));
            continue;
        }
        HF_TRY(add(HF_TRY(free_place_near(then_names.front())), {}, object));
    }
    return ok();
}

// Now or then: what was in a directory before that was left out, or is in one that is left out by now.
Result<bool> RewindBindings::is_left_out(const Place& place) {
    return alone_.is_inside(HF_TRY(now_.path(place))) || alone_.is_inside(HF_TRY(then_.path(place)));
}

// Its home is left out. It keeps a name that nothing else needs; with none it gets one beside it.
Status RewindBindings::leave_in_place(const ObjectId& object) {
    std::optional<Place> taken;
    bool keeps_name = false;
    for (size_t i = bindings_.size(); i-- > 0;) {
        if (bindings_[i].now != object) continue;
        const Binding binding = bindings_[i];
        const auto stays_at = HF_TRY(now_.path(binding.place));
        if (stays_at) alone_.note(*stays_at);
        if (binding.then) {
            taken = binding.place;
            continue;
        }
        keeps_name = true;
        places_.erase(binding.place);
        bindings_.erase(bindings_.begin() + static_cast<ptrdiff_t>(i));
    }
    if (keeps_name || !taken) return ok();
    return add(HF_TRY(free_place_near(*taken)), {}, object);
}

Result<Place> RewindBindings::free_place_near(const Place& place) {
    Place home = place;
    if (home.directory != journal::root_object) {
        HF_TRY(learn(home.directory));
        if (objects_.at(home.directory).names_now == 0) home.directory = journal::root_object;
    }
    const std::string name = home.name.substr(0, HF_NAME_BYTES_MAX - 32);
    for (int number = 0;; ++number) {
        if (!places_.count(home) && !HF_TRY(now_.object_at(home))) return home;
        home.name = name + ".displaced" + (number ? "-" + std::to_string(number) : "");
    }
}

}  // namespace holdfast::rewind
