// Planning a rewind: what changed since the moment, turned round.
#include <sys/stat.h>

#include <algorithm>
#include <unordered_set>

#include "base/text.h"
#include "rewind/restore/object_parts.h"
#include "rewind/restore/rewind_bindings.h"
#include "rewind/restore/rewind_in_place.h"
#include "rewind/restore/rewind_plan.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

Status check_path(const NamesAt& now, const NamesAt& then, const std::string& path) {
    for (const NamesAt* side : {&now, &then}) {
        const auto object = side->view().resolve(path);
        if (object) return ok();
        if (object.error().code != ErrorCode::not_found) return object.error();
    }
    return Error{ErrorCode::not_found, quoted(path) + " exists neither now nor at that moment; `holdfast log` shows when "
                                                      "it did", ENOENT};
}

Status check_recorded(const LeftAlone& alone, const std::string& path) {
    if (!alone.is_concerned(path)) return ok();
    return Error{ErrorCode::unsupported, quoted(path) + " is left out, so nothing of it is recorded and a rewind does not touch it; what was recorded before that, "
                                                        "`holdfast restore` puts beside it"};
}

void count_names(RewindPlan& plan, const RewindWork& work, std::unordered_set<ObjectId>& counted) {
    std::unordered_set<ObjectId> unlinked, kept;
    for (const NameStep& step : work.names) {
        switch (step.kind) {
            case NameStep::Kind::create: ++plan.created; break;
            case NameStep::Kind::remove_directory: ++plan.removed; break;
            case NameStep::Kind::move: plan.renamed += step.to.directory != staging_object; break;
            default: break;
        }
        if (step.replaces) unlinked.insert(step.replaces);
        if (step.kind == NameStep::Kind::unlink) unlinked.insert(step.object);
        if (step.kind == NameStep::Kind::move || step.kind == NameStep::Kind::link) kept.insert(step.object);
        counted.insert(step.object);
        if (step.replaces) counted.insert(step.replaces);
    }
    for (const ObjectId& object : unlinked) plan.removed += kept.count(object) == 0;
}

// A file that comes in from outside of the path is told as added by the difference, and yet it lives: its state may
// differ as well.
Status add_linked_contents(const Store& store, const RewindBindings& bindings, const NamesAt& now, NamesAt& then,
                           RewindPlan& plan, std::unordered_set<ObjectId>& contents) {
    std::unordered_set<ObjectId> told;
    for (const Change& change : plan.changes)
        if (change.change == ChangeKind::modified || change.change == ChangeKind::renamed) told.insert(change.object);
    for (const Binding& binding : bindings.bindings()) {
        if (!binding.then || told.count(binding.then)) continue;
        const NamedObject& object = bindings.objects().at(binding.then);
        if (object.is_directory || object.names_now == 0) continue;
        const auto path = HF_TRY(then.path(binding.place));
        if (!path || !is_below(*path, plan.path) || !told.insert(binding.then).second) continue;
        const ObjectAttributes from = HF_TRY(now.view().attributes(binding.then));
        const ObjectAttributes to = HF_TRY(then.view().attributes(binding.then));
        const FileAtTwoMoments file{binding.then, plan.present, plan.moment, from.size, to.size};
        const ObjectParts parts = HF_TRY(differing_parts(store, file, from, to));
        if (parts.parts == 0) continue;
        contents.insert(binding.then);
        plan.bytes += parts.bytes;
    }
    return ok();
}

}  // namespace

Result<RewindPlan> plan_rewind(const Store& store, std::string_view path, Lsn moment, const ProgressSink& progress, const journal::LeftOut& left_out) {
    RewindPlan plan;
    plan.path = HF_TRY(normal_path(path));
    plan.present = store.applied();
    plan.moment = moment;
    NamesAt now(store, plan.present);
    NamesAt then(store, moment);
    auto alone = LeftAlone::find(left_out, now);
    if (!alone) return alone.error();
    auto work = std::make_shared<RewindWork>(RewindWork{{}, {}, {}, std::move(*alone)});
    HF_TRY(check_recorded(work->alone, plan.path));
    HF_TRY(check_path(now, then, plan.path));
    const Touched touched = HF_TRY(touched_between(store.index(), store.undo_log(), moment, plan.present, progress));
    plan.changes = HF_TRY(difference(store, plan.path, plan.present, moment, touched, progress));

    std::erase_if(plan.changes, [&](const Change& change) { return work->alone.leaves(change); });

    RewindBindings bindings(store, plan.path, now, then, work->alone);
    HF_TRY(bindings.collect(touched));
    plan.kept.assign(work->alone.noted().begin(), work->alone.noted().end());
    work->names = plan_names(bindings.bindings(), bindings.objects());

    std::unordered_set<ObjectId> counted, directories;
    count_names(plan, *work, counted);
    for (const NameStep& step : work->names) {
        if (step.kind != NameStep::Kind::create) continue;
        const ObjectAttributes attributes = HF_TRY(then.view().attributes(step.object));
        if (S_ISDIR(attributes.mode)) directories.insert(step.object);
        if (S_ISREG(attributes.mode))
            for (const DataExtent& extent : HF_TRY(then.view().data_extents(step.object))) plan.bytes += extent.length;
    }
    std::unordered_set<ObjectId> contents;
    for (const Change& change : plan.changes) {
        const bool lives = change.change == ChangeKind::modified || change.change == ChangeKind::renamed;
        if (!lives) continue;
        counted.insert(change.object);
        if (S_ISDIR(change.mode)) {
            directories.insert(change.object);
        } else if (change.parts & ~uint32_t{changed_links}) {
            contents.insert(change.object);
            plan.bytes += change.bytes;
        }
    }
    HF_TRY(add_linked_contents(store, bindings, now, then, plan, contents));
    counted.insert(contents.begin(), contents.end());
    // Directories whose entries change or changed: their mtime is that of the moment again. Parents of the path itself
    // are not asked about and keep the mtime that the change gives them.
    for (const ObjectId& directory : touched.directories) {
        if (work->alone.is_left_out(directory)) continue;
        if (directory == journal::root_object ? !plan.path.empty() : HF_TRY(then.names(directory)).empty()) continue;
        const auto path_then = HF_TRY(then.directory_path(directory));
        const auto path_now = HF_TRY(now.directory_path(directory));
        if (work->alone.is_inside(path_then) || work->alone.is_inside(path_now)) continue;
        const bool is_inside = (path_then && is_below(*path_then, plan.path)) || (path_now && is_below(*path_now, plan.path));
        if (is_inside) directories.insert(directory);
    }
    counted.insert(directories.begin(), directories.end());
    work->directories.assign(directories.begin(), directories.end());
    work->contents.assign(contents.begin(), contents.end());
    std::sort(work->directories.begin(), work->directories.end());
    std::sort(work->contents.begin(), work->contents.end());
    plan.files = counted.size();
    plan.work = std::move(work);
    return plan;
}

}  // namespace holdfast::rewind
