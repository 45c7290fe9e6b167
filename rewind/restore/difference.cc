#include "rewind/restore/difference.h"

#include <sys/stat.h>

#include <algorithm>

#include "rewind/restore/names_at.h"
#include "rewind/restore/object_parts.h"
#include "rewind/restore/touched.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

// One object at both moments.
struct Sides {
    std::vector<Place> from;
    std::vector<Place> to;
};

class Differences {
public:
    Differences(const Store& store, std::string path, Lsn from, Lsn to)
        : store_(store), path_(std::move(path)), from_(store, from), to_(store, to) {}

    Result<std::vector<Change>> run(const Touched& touched, const ProgressSink& progress) {
        WorkProgress done;
        done.files_total = touched.objects.size();
        for (const auto& [object, parts] : touched.objects) {
            HF_TRY(object_changes(object, parts, touched.directories.count(object) != 0));
            if (progress && ++done.files % 256 == 0 && !progress(done)) return stopped_by_request();
        }
        std::sort(changes_.begin(), changes_.end(), [](const Change& a, const Change& b) { return a.path < b.path; });
        return std::move(changes_);
    }

private:
    Status object_changes(const ObjectId& object, uint8_t parts, bool has_changed_entries) {
        Sides sides;
        sides.to = HF_TRY(to_.names(object));
        sides.from = parts & touched_names ? HF_TRY(from_.names(object)) : sides.to;
        if (object != journal::root_object && sides.from.empty() && sides.to.empty()) return ok();
        const bool is_at_both = object == journal::root_object || (!sides.from.empty() && !sides.to.empty());
        if (!is_at_both) return sides.from.empty() ? lone(object, sides.to, to_, ChangeKind::added)
                                                   : lone(object, sides.from, from_, ChangeKind::removed);
        return changed(object, sides, has_changed_entries);
    }

    // It is there at one of the moments only.
    Status lone(const ObjectId& object, const std::vector<Place>& places, NamesAt& side, ChangeKind kind) {
        std::optional<ObjectAttributes> attributes;
        for (const Place& place : places) {
            const auto path = HF_TRY(side.path(place));
            if (!path || !is_below(*path, path_)) continue;
            if (!attributes) attributes = HF_TRY(side.view().attributes(object));
            Change change;
            change.path = *path;
            change.change = kind;
            change.mode = attributes->mode;
            change.object = object;
            // Of several names of one file the bytes are told once.
            if (S_ISREG(attributes->mode) && place == places.front()) change.bytes = attributes->size;
            changes_.push_back(std::move(change));
        }
        return ok();
    }

    Status changed(const ObjectId& object, const Sides& sides, bool has_changed_entries) {
        std::vector<Place> lost, gained, kept;
        std::set_difference(sides.from.begin(), sides.from.end(), sides.to.begin(), sides.to.end(), std::back_inserter(lost));
        std::set_difference(sides.to.begin(), sides.to.end(), sides.from.begin(), sides.from.end(), std::back_inserter(gained));
        std::set_intersection(sides.from.begin(), sides.from.end(), sides.to.begin(), sides.to.end(), std::back_inserter(kept));
        std::optional<Change> main;
        const bool is_renamed = kept.empty() && !lost.empty() && !gained.empty();
        if (is_renamed) {
            main = HF_TRY(named(object, gained.front(), lost.front()));
            if (main) main->change = ChangeKind::renamed;
            gained.erase(gained.begin());
            lost.erase(lost.begin());
        } else if (object == journal::root_object) {
            main = HF_TRY(named(object, {}, std::nullopt));
        } else {
            // Of several names the first that lies inside.
            for (size_t i = 0; i < kept.size() && !main; ++i) main = HF_TRY(named(object, kept[i], std::nullopt));
        }
        const ObjectAttributes before = HF_TRY(from_.view().attributes(object));
        const ObjectAttributes after = HF_TRY(to_.view().attributes(object));
        if (main) {
            const FileAtTwoMoments file{object, from_.view().at(), to_.view().at(), before.size, after.size};
            const ObjectParts parts = HF_TRY(differing_parts(store_, file, before, after));
            main->parts = parts.parts;
            main->bytes = parts.bytes;
            main->mode = after.mode;
            if (S_ISDIR(after.mode) && has_changed_entries) main->parts &= ~uint32_t{changed_mtime};
            if (!gained.empty() || !lost.empty()) main->parts |= changed_links;
            if (is_renamed || (main->parts & ~uint32_t{changed_links})) changes_.push_back(std::move(*main));
        }
        HF_TRY(further_names(object, gained, to_, ChangeKind::added, after.mode));
        return further_names(object, lost, from_, ChangeKind::removed, before.mode);
    }

    // The change at PLACE, if that lies below the path at one of the moments.
    Result<std::optional<Change>> named(const ObjectId& object, const Place& place, const std::optional<Place>& before) {
        Change change;
        change.object = object;
        if (object == journal::root_object) return path_.empty() ? std::optional(change) : std::nullopt;
        const auto to_path = HF_TRY(to_.path(place));
        const auto from_path = HF_TRY(from_.path(before.value_or(place)));
        const bool is_inside = (to_path && is_below(*to_path, path_)) || (from_path && is_below(*from_path, path_));
        if (!is_inside) return std::optional<Change>();
        change.path = to_path ? *to_path : *from_path;
        if (before && from_path) change.from_path = *from_path;
        return std::optional(change);
    }

    Status further_names(const ObjectId& object, const std::vector<Place>& places, NamesAt& side, ChangeKind kind,
                         uint32_t mode) {
        for (const Place& place : places) {
            const auto path = HF_TRY(side.path(place));
            if (!path || !is_below(*path, path_)) continue;
            Change change;
            change.path = *path;
            change.change = kind;
            change.mode = mode;
            change.object = object;
            changes_.push_back(std::move(change));
        }
        return ok();
    }

    const Store& store_;
    std::string path_;
    NamesAt from_;
    NamesAt to_;
    std::vector<Change> changes_;
};

}  // namespace

const char* to_string(ChangeKind kind) {
    switch (kind) {
        case ChangeKind::added: return "added";
        case ChangeKind::removed: return "removed";
        case ChangeKind::modified: return "modified";
        case ChangeKind::renamed: return "renamed";
    }
    return "unknown";
}

std::vector<std::string> changed_part_names(uint32_t parts) {
    static constexpr std::pair<uint32_t, const char*> names[] = {
        {changed_data, "data"},     {changed_size, "size"},     {changed_mode, "mode"},  {changed_owner, "owner"},
        {changed_mtime, "mtime"},   {changed_xattrs, "xattrs"}, {changed_links, "links"}};
    std::vector<std::string> found;
    for (const auto& [part, name] : names)
        if (parts & part) found.emplace_back(name);
    return found;
}

Result<std::vector<Change>> difference(const Store& store, std::string_view path, Lsn from, Lsn to,
                                       const ProgressSink& progress) {
    const Touched touched = HF_TRY(touched_between(store.index(), store.undo_log(), std::min(from, to), std::max(from, to), progress));
    return difference(store, path, from, to, touched, progress);
}

Result<std::vector<Change>> difference(const Store& store, std::string_view path, Lsn from, Lsn to,
                                       const Touched& touched, const ProgressSink& progress) {
    return Differences(store, HF_TRY(normal_path(path)), from, to).run(touched, progress);
}

}  // namespace holdfast::rewind
