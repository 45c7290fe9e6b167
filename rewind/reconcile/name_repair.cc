#include "rewind/reconcile/name_repair.h"

#include <sys/stat.h>

namespace holdfast::rewind {

namespace {

bool is_directory(uint32_t mode) {
    return (mode & S_IFMT) == S_IFDIR;
}

}  // namespace

void NameRepair::avoid_names_of(const std::vector<TreeObject>& tree) {
    for (const TreeObject& object : tree) names_taken_.insert(object.name);
}

void NameRepair::avoid_names_of(const std::vector<ViewEntry>& image) {
    for (const ViewEntry& entry : image) names_taken_.insert(entry.name);
}

Status NameRepair::make_staging() {
    if (staging_) return ok();
    staging_ = HF_TRY(ledger_.target().fresh_id());
    staging_directory_ = std::string(staging_name) + "-" + std::to_string(staging_.inode);
    while (names_taken_.count(staging_directory_)) staging_directory_ += "x";
    journal::Birth birth;
    birth.parent = journal::root_object;
    birth.name = staging_directory_;
    birth.attributes.valid = HF_ATTR_ALL;
    birth.attributes.mode = S_IFDIR | 0700;
    return ledger_.bear(staging_, birth);
}

Status NameRepair::evict(const TreeObject& directory, const ViewEntry& entry, bool is_needed) {
    late_.emplace(directory.id, directory.attributes);
    ImageName place{directory.id, entry.name};
    if (is_needed) {
        if (!is_directory(entry.mode) && HF_TRY(ledger_.links(entry.object)) > 1)
            return ledger_.unlink(entry.object, directory.id, entry.name, false);
        HF_TRY(make_staging());
        const ImageName staged{staging_, journal::to_string(entry.object)};
        HF_TRY(ledger_.move(entry.object, place, staged));
        place = staged;
    }
    gone_[entry.object].push_back(std::move(place));
    return ok();
}

Result<bool> NameRepair::place(const ObjectId& directory, const TreeObject& object) {
    const ImageName wanted{directory, object.name};
    if (const auto found = gone_.find(object.id); found != gone_.end()) {
        const ImageName from = std::move(found->second.back());
        found->second.pop_back();
        if (found->second.empty()) gone_.erase(found);
        HF_TRY(ledger_.move(object.id, from, wanted));
        return true;
    }
    const uint32_t links = HF_TRY(ledger_.links(object.id));
    if (links == 0) return false;
    const auto location = HF_TRY(ledger_.target().find(object.id));
    if (location && location->links > 0 && (location->mode & S_IFMT) != (object.attributes.mode & S_IFMT))
        return Error{ErrorCode::corrupt, "object " + journal::to_string(object.id) +
                                             " is of another type in the store than in the directory; the store does not "
                                             "belong to this directory any more, protect it into a new store"};
    // With one name on both sides it was renamed; with more, names that are wrong go when their directory is visited.
    if (is_directory(object.attributes.mode) || (object.attributes.nlink == 1 && links == 1)) {
        const auto names = HF_TRY(ledger_.names(object.id));
        if (names.size() != 1)
            return Error{ErrorCode::corrupt, "object " + journal::to_string(object.id) + " has " +
                                                 std::to_string(names.size()) + " names in the index instead of one"};
        HF_TRY(ledger_.move(object.id, names.front(), wanted));
        return true;
    }
    HF_TRY(ledger_.link(object.id, directory, object.name));
    return true;
}

Result<uint64_t> NameRepair::count_gone(uint64_t limit) {
    uint64_t count = 0;
    std::vector<ObjectId> pending;
    for (const auto& [object, places] : gone_) {
        if (meant_.count(object) != 0) continue;
        if (++count >= limit) return count;
        const auto location = HF_TRY(ledger_.target().find(object));
        if (location && is_directory(location->mode)) pending.push_back(object);
    }
    while (!pending.empty()) {
        const ObjectId directory = pending.back();
        pending.pop_back();
        for (const ViewEntry& entry : HF_TRY(ledger_.list(directory))) {
            if (++count >= limit) return count;
            if (is_directory(entry.mode)) pending.push_back(entry.object);
        }
    }
    return count;
}

Result<uint64_t> NameRepair::finish() {
    uint64_t removed = 0;
    for (const auto& [object, places] : gone_) {
        for (const ImageName& place : places) HF_TRY(remove_entry(place, object, &removed));
    }
    gone_.clear();
    if (staging_) HF_TRY(ledger_.remove_directory(staging_, journal::root_object, staging_directory_));
    staging_ = {};
    for (const auto& [directory, attributes] : late_) {
        journal::Attributes mtime{};
        mtime.valid = HF_ATTR_MTIME;
        mtime.mtime_ns = attributes.mtime_ns;
        HF_TRY(ledger_.change(HF_SETATTR, directory, journal::SetAttr{mtime}));
    }
    late_.clear();
    return removed;
}

// Entries before their directory, with a stack of its own: a tree may be deeper than this program's.
Status NameRepair::remove_entry(const ImageName& place, const ObjectId& object, uint64_t* removed) {
    struct Step {
        ImageName place;
        ObjectId object;
        bool is_tree;
        bool is_emptied;
    };
    const auto location = HF_TRY(ledger_.target().find(object));
    std::vector<Step> steps{{place, object, location && is_directory(location->mode), false}};
    while (!steps.empty()) {
        Step step = std::move(steps.back());
        steps.pop_back();
        if (!step.is_tree) {
            const bool is_last = HF_TRY(ledger_.links(step.object)) <= 1;
            HF_TRY(ledger_.unlink(step.object, step.place.directory, step.place.name, is_last));
            *removed += is_last;
        } else if (step.is_emptied) {
            HF_TRY(ledger_.remove_directory(step.object, step.place.directory, step.place.name));
            ++*removed;
        } else {
            const auto entries = HF_TRY(ledger_.list(step.object));
            const ObjectId directory = step.object;
            step.is_emptied = true;
            steps.push_back(std::move(step));
            for (const ViewEntry& entry : entries)
                steps.push_back({{directory, entry.name}, entry.object, is_directory(entry.mode), false});
        }
    }
    return ok();
}

}  // namespace holdfast::rewind
