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
    // The id makes the name unlike that of a staging directory which an interrupted repair has left in the image.
    staging_directory_ = std::string(staging_name) + "-" + std::to_string(staging_.inode);
    while (names_taken_.count(staging_directory_)) staging_directory_ += "x";
    journal::Birth birth;
    birth.parent = journal::root_object;
    birth.name = staging_directory_;
    birth.attributes.valid = HF_ATTR_ALL;
    birth.attributes.mode = S_IFDIR | 0700;
    return ledger_.bear(staging_, birth);
}

Status NameRepair::evict(const ObjectId& directory, const ViewEntry& entry) {
    if (!is_directory(entry.mode) && HF_TRY(ledger_.links(entry.object)) > 1)
        return ledger_.unlink(entry.object, directory, entry.name, false);
    HF_TRY(make_staging());
    HF_TRY(ledger_.move(entry.object, {directory, entry.name}, {staging_, staged_name(entry.object)}));
    staged_.insert(entry.object);
    return ok();
}

Result<bool> NameRepair::place(const ObjectId& directory, const TreeObject& object) {
    if (staged_.erase(object.id)) {
        HF_TRY(ledger_.move(object.id, {staging_, staged_name(object.id)}, {directory, object.name}));
        return true;
    }
    const uint32_t links = HF_TRY(ledger_.links(object.id));
    if (links == 0) return false;
    const auto location = HF_TRY(ledger_.target().find(object.id));
    if (location && (location->mode & S_IFMT) != (object.attributes.mode & S_IFMT))
        return Error{ErrorCode::corrupt, "object " + journal::to_string(object.id) +
                                             " is of another type in the store than in the directory; the store does not "
                                             "belong to this directory any more, protect it into a new store"};
    // With one name on both sides it was renamed; with more, names that are wrong go when their directory is visited.
    if (is_directory(object.attributes.mode) || (object.attributes.nlink == 1 && links == 1)) {
        const auto names = HF_TRY(ledger_.names(object.id));
        if (names.size() != 1)
            return Error{ErrorCode::corrupt, "object " + journal::to_string(object.id) + " has " +
                                                 std::to_string(names.size()) + " names in the index instead of one"};
        HF_TRY(ledger_.move(object.id, names.front(), {directory, object.name}));
        return true;
    }
    HF_TRY(ledger_.link(object.id, directory, object.name));
    return true;
}

Result<uint64_t> NameRepair::count_staged(uint64_t limit) {
    uint64_t count = 0;
    std::vector<ObjectId> pending;
    for (const ObjectId& object : staged_) {
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

Result<uint64_t> NameRepair::remove_staged() {
    uint64_t removed = 0;
    if (!staging_) return removed;
    for (const ViewEntry& entry : HF_TRY(ledger_.list(staging_))) HF_TRY(remove_entry(staging_, entry, &removed));
    HF_TRY(ledger_.remove_directory(staging_, journal::root_object, staging_directory_));
    staging_ = {};
    staged_.clear();
    return removed;
}

// Entries before their directory, with a stack of its own: a tree may be deeper than this program's.
Status NameRepair::remove_entry(const ObjectId& parent, const ViewEntry& top, uint64_t* removed) {
    struct Step {
        ObjectId parent;
        ViewEntry entry;
        bool is_emptied;
    };
    std::vector<Step> steps{{parent, top, false}};
    while (!steps.empty()) {
        Step step = std::move(steps.back());
        steps.pop_back();
        const ObjectId object = step.entry.object;
        if (!is_directory(step.entry.mode)) {
            const bool is_last = HF_TRY(ledger_.links(object)) <= 1;
            HF_TRY(ledger_.unlink(object, step.parent, step.entry.name, is_last));
            *removed += is_last;
        } else if (step.is_emptied) {
            HF_TRY(ledger_.remove_directory(object, step.parent, step.entry.name));
            ++*removed;
        } else {
            const auto entries = HF_TRY(ledger_.list(object));
            steps.push_back({step.parent, std::move(step.entry), true});
            for (const ViewEntry& entry : entries) steps.push_back({object, entry, false});
        }
    }
    return ok();
}

}  // namespace holdfast::rewind
