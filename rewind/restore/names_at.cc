#include "rewind/restore/names_at.h"

#include <algorithm>

#include "rewind/store.h"

namespace holdfast::rewind {

Result<std::vector<Place>> NamesAt::names(const ObjectId& object) const {
    std::vector<Place> candidates;
    for (auto& event : HF_TRY(store_.index().names_of(object)))
        candidates.push_back({event.directory, std::move(event.name)});
    std::sort(candidates.begin(), candidates.end());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    std::vector<Place> names;
    for (Place& place : candidates)
        if (HF_TRY(object_at(place)) == object) names.push_back(std::move(place));
    return names;
}

Result<ObjectId> NamesAt::object_at(const Place& place) const {
    auto found = view_.lookup(place.directory, place.name);
    if (found) return *found;
    // A directory that the window has forgotten, or that was not born yet, has no entries.
    if (found.error().code == ErrorCode::not_found) return ObjectId{};
    return std::move(found).error();
}

Result<std::optional<std::string>> NamesAt::directory_path(const ObjectId& directory) {
    // Upwards until the root or a directory whose path is known; then the names downwards. A chain is at most as long
    // as the tree is deep; a ring cannot be in one consistent moment, and a damaged index must not hang us.
    std::vector<std::pair<ObjectId, std::string>> chain;
    ObjectId current = directory;
    std::optional<std::string> path;
    while (true) {
        if (current == journal::root_object) {
            path = std::string();
            break;
        }
        if (const auto known = paths_.find(current); known != paths_.end()) {
            path = known->second;
            break;
        }
        constexpr size_t depth_max = 1 << 16;
        const auto places = HF_TRY(names(current));
        if (places.empty() || chain.size() > depth_max) {
            paths_[current] = std::nullopt;
            break;
        }
        chain.emplace_back(current, places.front().name);
        current = places.front().directory;
    }
    for (auto step = chain.rbegin(); step != chain.rend(); ++step) {
        if (path) path = path->empty() ? step->second : *path + "/" + step->second;
        paths_[step->first] = path;
    }
    return path;
}

Result<std::optional<std::string>> NamesAt::path(const Place& place) {
    auto directory = HF_TRY(directory_path(place.directory));
    if (!directory) return directory;
    return std::optional(directory->empty() ? place.name : *directory + "/" + place.name);
}

bool is_below(std::string_view path, std::string_view top) {
    if (top.empty() || path == top) return true;
    return path.size() > top.size() && path.starts_with(top) && path[top.size()] == '/';
}

Result<std::string> normal_path(std::string_view path) {
    std::string normal;
    while (!path.empty()) {
        const size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
        if (name.empty() || name == ".") continue;
        if (name == "..") return Error{ErrorCode::invalid_argument, "a path inside a volume has no .. in it"};
        if (!normal.empty()) normal += '/';
        normal += name;
    }
    return normal;
}

}  // namespace holdfast::rewind
