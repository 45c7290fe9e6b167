#include "rewind/reconcile/tree_repair.h"

#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>

#include "base/text.h"

namespace holdfast::rewind {

namespace {

bool is_directory(const TreeObject& object) {
    return (object.attributes.mode & S_IFMT) == S_IFDIR;
}

constexpr uint64_t report_every_objects = 512;

}  // namespace

Status TreeRepair::run() {
    const TreeObject root = HF_TRY(tree_.root());
    steps_.push_back({root, false, false});
    while (!steps_.empty()) {
        const Step step = std::move(steps_.back());
        steps_.pop_back();
        // The root's own attributes wait: names still go from it, and with them its mtime.
        if (step.is_finish && step.directory.id == journal::root_object) break;
        HF_TRY(visit(step));
    }
    HF_TRY(remove_what_is_gone());
    const auto top = HF_TRY(tree_.open(root));
    // One that the image has open, too, is born anew: nobody can tell whether it is the same to its last byte.
    for (const TreeObject& object : HF_TRY(tree_.nameless())) HF_TRY(objects_.bear({}, *top, object));
    return objects_.compare(*top, root, false);
}

Status TreeRepair::visit(const Step& step) {
    const auto directory = HF_TRY(tree_.open(step.directory));
    if (step.is_finish) {
        if (step.is_born) return objects_.finish_born(step.directory);
        TreeObject self = step.directory;
        self.name.clear();
        return objects_.compare(*directory, self, names_.is_late(self.id) || directory->is_left_out());
    }
    const auto wanted = HF_TRY(directory->list());
    if (step.directory.id == journal::root_object) names_.avoid_names_of(wanted);
    std::unordered_map<std::string_view, const TreeObject*> by_name;
    by_name.reserve(wanted.size());
    for (const TreeObject& object : wanted) by_name.emplace(object.name, &object);

    std::unordered_set<std::string> right;
    if (!step.is_born) {
        const auto present = HF_TRY(ledger_.list(step.directory.id));
        if (step.directory.id == journal::root_object) names_.avoid_names_of(present);
        for (const ViewEntry& entry : present) {
            const auto found = by_name.find(entry.name);
            if (found != by_name.end() && found->second->id == entry.object)
                right.insert(entry.name);
            else
                HF_TRY(names_.evict(step.directory, entry, found != by_name.end()));
            if (directory->is_left_out()) names_.is_meant_to_go(entry.object);
        }
    }
    steps_.push_back({step.directory, step.is_born, true});
    for (const TreeObject& object : wanted)
        HF_TRY(visit_entry(step, *directory, object, right.count(object.name) != 0));
    return ok();
}

Status TreeRepair::visit_entry(const Step& step, SourceDirectory& directory, const TreeObject& object, bool has_name) {
    ledger_.examined(1);
    if (ledger_.objects() % report_every_objects == 0) HF_TRY(ledger_.report());
    const bool is_known = has_name || HF_TRY(names_.place(step.directory.id, object));
    if (!is_known) HF_TRY(objects_.bear(step.directory.id, directory, object));
    if (is_directory(object)) {
        steps_.push_back({object, !is_known, false});
        return ok();
    }
    const bool is_first = object.attributes.nlink == 1 || compared_.insert(object.id).second;
    if (!is_known || !is_first) return ok();
    auto compared = objects_.compare(directory, object, false);
    if (!compared) return std::move(compared).error().within("compare " + quoted(object.name) + " with the image");
    return ok();
}

Status TreeRepair::remove_what_is_gone() {
    if (options_.deletion_brake > 0) {
        const uint64_t alive = ledger_.objects();
        const uint64_t limit = std::max(options_.deletion_brake, alive + 1);
        if (HF_TRY(names_.count_gone(limit)) >= limit)
            return Error{ErrorCode::permission,
                         "more than half of the objects that the store knows are gone (" + std::to_string(alive) +
                             " are left), which looks as if the wrong or an empty disk were there. Nothing was deleted from the store. Bring the "
                             "files back, or, if the deletions are meant, " + std::string(options_.brake_advice)};
    }
    removed_ = HF_TRY(names_.finish());
    return ok();
}

}  // namespace holdfast::rewind
