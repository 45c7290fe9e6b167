// Names and paths of objects at one moment, found from the object upwards, so that nothing is walked.
//
// The index proposes (every name that the object ever had in the window), the view decides. Paths of directories are
// remembered.
// Thread rule: one thread.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "rewind/view.h"

namespace holdfast::rewind {

class Store;

// One entry of a directory.
struct Place {
    ObjectId directory;
    std::string name;
    auto operator<=>(const Place&) const = default;
    bool operator==(const Place&) const = default;
};

class NamesAt {
public:
    NamesAt(const Store& store, Lsn at) : store_(store), view_(store, at) {}
    const View& view() const { return view_; }

    // In the order of (directory, name). None: it did not exist, or had no name.
    Result<std::vector<Place>> names(const ObjectId& object) const;
    // Relative to the volume, "" is the root. Nothing: the directory was not part of the tree.
    Result<std::optional<std::string>> directory_path(const ObjectId& directory);
    Result<std::optional<std::string>> path(const Place& place);
    // What the entry led to; the zero object: nothing.
    Result<ObjectId> object_at(const Place& place) const;

private:
    const Store& store_;
    View view_;
    std::unordered_map<ObjectId, std::optional<std::string>> paths_;
};

// True when PATH is TOP or lies below it; everything lies below "".
bool is_below(std::string_view path, std::string_view top);
// Without slashes in front, behind and doubled. Errors: invalid_argument for "..".
Result<std::string> normal_path(std::string_view path);

}  // namespace holdfast::rewind

template <>
struct std::hash<holdfast::rewind::Place> {
    size_t operator()(const holdfast::rewind::Place& place) const {
        return std::hash<holdfast::journal::ObjectId>()(place.directory) * 31 + std::hash<std::string>()(place.name);
    }
};
