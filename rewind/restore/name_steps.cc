#include "rewind/restore/name_steps.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "base/check.h"

namespace holdfast::rewind {

namespace {

using Kind = NameStep::Kind;

class NamePlanner {
public:
    NamePlanner(const std::vector<Binding>& bindings, const std::unordered_map<ObjectId, NamedObject>& objects)
        : bindings_(bindings), objects_(objects) {}

    std::vector<NameStep> run() {
        pair_up();
        remove_files();
        place_all();
        remove_directories();
        return std::move(steps_);
    }

private:
    // Where an object's names stand and where they will stand. The first names are moved, those left over are unlinked
    // or linked.
    struct Fate {
        std::vector<Place> sources;   // names that will be moved, where they stand by now
        std::vector<Place> surplus;   // names that go
        size_t wanted = 0;
    };

    const NamedObject& info(const ObjectId& object) const {
        const auto found = objects_.find(object);
        HF_CHECK(found != objects_.end());
        return found->second;
    }

    void pair_up() {
        for (const Binding& binding : bindings_) {
            HF_CHECK(binding.now != binding.then);
            if (binding.now) {
                fates_[binding.now].sources.push_back(binding.place);
                occupants_[binding.place] = binding.now;
            }
            if (binding.then) ++fates_[binding.then].wanted;
        }
        for (auto& [object, fate] : fates_) {
            std::sort(fate.sources.begin(), fate.sources.end());
            while (fate.sources.size() > fate.wanted) {
                fate.surplus.push_back(std::move(fate.sources.back()));
                fate.sources.pop_back();
            }
        }
    }

    bool is_surplus(const ObjectId& object, const Place& place) const {
        const auto& surplus = fates_.at(object).surplus;
        return std::find(surplus.begin(), surplus.end(), place) != surplus.end();
    }

    // A file that goes and whose place nobody takes; where a file comes, it is replaced instead, so that the name
    // is never absent.
    void remove_files() {
        for (const Binding& binding : bindings_) {
            if (!binding.now || info(binding.now).is_directory || !is_surplus(binding.now, binding.place)) continue;
            if (binding.then && !info(binding.then).is_directory) continue;
            steps_.push_back({Kind::unlink, binding.now, binding.place, {}, {}});
            occupants_.erase(binding.place);
        }
    }

    void place_all() {
        std::vector<const Binding*> wanted;
        for (const Binding& binding : bindings_)
            if (binding.then) wanted.push_back(&binding);
        std::sort(wanted.begin(), wanted.end(), [](const Binding* a, const Binding* b) {
            return std::tie(a->depth_then, a->place) < std::tie(b->depth_then, b->place);
        });
        for (const Binding* binding : wanted) place(binding->then, binding->place);
    }

    void place(const ObjectId& object, const Place& to) {
        Fate& fate = fates_[object];
        const bool is_alive = info(object).names_now > 0 || made_.count(object) != 0;
        const bool is_linked = is_alive && fate.sources.empty();
        const ObjectId replaced = free_place(to, is_linked || info(object).is_directory);
        if (!fate.sources.empty()) {
            const Place from = fate.sources.front();
            fate.sources.erase(fate.sources.begin());
            steps_.push_back({Kind::move, object, from, to, replaced});
            occupants_.erase(from);
        } else if (is_alive) {
            steps_.push_back({Kind::link, object, {}, to, {}});
        } else {
            steps_.push_back({Kind::create, object, {}, to, replaced});
            made_.insert(object);
        }
        occupants_[to] = object;
    }

    // Afterwards nothing stands at PLACE, or the file that is returned and may be replaced.
    ObjectId free_place(const Place& place, bool must_be_empty) {
        const auto occupant = occupants_.find(place);
        if (occupant == occupants_.end()) return {};
        const ObjectId object = occupant->second;
        if (!info(object).is_directory && is_surplus(object, place)) {
            if (!must_be_empty) return object;
            steps_.push_back({Kind::unlink, object, place, {}, {}});
            occupants_.erase(occupant);
            return {};
        }
        const Place staged{staging_object, journal::to_string(object) + "-" + std::to_string(staged_++)};
        steps_.push_back({Kind::move, object, place, staged, {}});
        occupants_.erase(occupant);
        Fate& fate = fates_[object];
        for (auto* places : {&fate.sources, &fate.surplus}) std::replace(places->begin(), places->end(), place, staged);
        return {};
    }

    // Deepest first. What they held has been moved or removed.
    void remove_directories() {
        std::vector<std::pair<uint32_t, ObjectId>> directories;
        for (const Binding& binding : bindings_) {
            if (binding.now && info(binding.now).is_directory && !fates_[binding.now].surplus.empty())
                directories.emplace_back(binding.depth_now, binding.now);
        }
        std::sort(directories.begin(), directories.end(), [](const auto& a, const auto& b) { return b < a; });
        for (const auto& [depth, object] : directories)
            steps_.push_back({Kind::remove_directory, object, fates_[object].surplus.front(), {}, {}});
    }

    const std::vector<Binding>& bindings_;
    const std::unordered_map<ObjectId, NamedObject>& objects_;
    std::unordered_map<ObjectId, Fate> fates_;
    std::unordered_map<Place, ObjectId> occupants_;
    std::unordered_set<ObjectId> made_;
    std::vector<NameStep> steps_;
    uint64_t staged_ = 0;
};

}  // namespace

std::vector<NameStep> plan_names(const std::vector<Binding>& bindings,
                                 const std::unordered_map<ObjectId, NamedObject>& objects) {
    return NamePlanner(bindings, objects).run();
}

}  // namespace holdfast::rewind
