// The undo of records that change names: births, links, removals, renames.
#include <sys/stat.h>

#include <set>

#include "rewind/apply/undo_planner.h"
#include "rewind/xattrs.h"

namespace holdfast::rewind {

// The entry NAME of DIRECTORY led to PREVIOUS before RECORD. Changes the directory's time.
Status UndoPlanner::save_name(const ObjectId& directory, std::string_view name, const ObjectId& previous, const Record& record) {
    UndoItem item{UndoKind::dirent, directory};
    item.name = name;
    item.other = previous;
    HF_TRY(builder_.add(item));
    return change_time(directory, *HF_TRY(pending(directory)), record, false);
}

Status UndoPlanner::lose_name(const ObjectId& object, const Record& record) {
    Pending& state = *HF_TRY(pending(object));
    HF_TRY(save_attributes(object, state));
    state.attributes.ctime_ns = static_cast<int64_t>(record.time_ns);
    if (S_ISDIR(state.attributes.mode)) {
        state.attributes.nlink = 0;
    } else if (state.attributes.nlink > 0) {
        --state.attributes.nlink;
    }
    if (state.attributes.nlink > 0) return ok();
    return builder_.add(UndoItem{UndoKind::death, object});
}

Status UndoPlanner::plan_birth(const Record& record) {
    const auto& body = record.as<journal::Birth>();
    const bool is_known = pending_.count(record.object) || HF_TRY(files_.location(record.object));
    if (is_known) {
        HF_TRY(plan_rebirth(record, *HF_TRY(pending(record.object))));
    } else {
        HF_TRY(builder_.add(UndoItem{UndoKind::birth, record.object}));
    }
    Pending& state = pending_[record.object];
    ObjectAttributes& now = state.attributes;
    now = ObjectAttributes{};
    now.mode = body.attributes.mode;
    now.uid = body.attributes.uid;
    now.gid = body.attributes.gid;
    now.nlink = body.name.empty() ? 0 : 1;
    now.size = body.target.size();
    now.rdev = body.rdev;
    now.atime_ns = body.attributes.atime_ns;
    now.mtime_ns = body.attributes.mtime_ns;
    now.ctime_ns = body.attributes.ctime_ns;
    state.pieces.set_hole(0, Pieces::end_of_file);
    unsettled_.erase(record.object);
    return body.name.empty() ? ok() : save_name(body.parent, body.name, ObjectId{}, record);
}

// An object that died is there again: after a host crash the tree may have kept what the journal had removed. Its old
// body comes back from the graveyard, so what it was is saved as if it were overwritten.
Status UndoPlanner::plan_rebirth(const Record& record, Pending& state) {
    const auto& body = record.as<journal::Birth>();
    const uint32_t type = state.attributes.mode & S_IFMT;
    if (state.attributes.nlink > 0 || type != (body.attributes.mode & S_IFMT))
        return Error{ErrorCode::corrupt, "the journal makes object " + journal::to_string(record.object) +
                                             " at lsn " + std::to_string(record.lsn) + ", which the image has already"};
    HF_TRY(save_attributes(record.object, state));
    if (S_ISREG(type)) HF_TRY(save_range(record.object, state, 0, state.attributes.size, Save::all));
    std::set<std::string> names;
    const ObjectChange* change = changes_.find(record.object);
    if (state.in_image && !(change && change->birth))
        for (std::string& name : HF_TRY(xattr_names_of_object(files_.image(), record.object, HF_TRY(files_.fd(record.object))))) names.insert(std::move(name));
    if (change)
        for (const auto& [name, value] : change->xattrs) names.emplace(name);
    for (const journal::Xattr& xattr : body.xattrs)
        if (!is_private_xattr(xattr.name)) names.emplace(xattr.name);
    for (const std::string& name : names) HF_TRY(save_xattr(record.object, state, arena_.keep(std::string_view(name))));
    // It is in the image unless this very batch bore it first.
    changes_.objects()[record.object].in_image = state.in_image;
    return ok();
}

Status UndoPlanner::plan_link(const Record& record) {
    const auto& body = record.as<journal::Link>();
    HF_TRY(save_name(body.parent, body.name, ObjectId{}, record));
    Pending& state = *HF_TRY(pending(record.object));
    HF_TRY(save_attributes(record.object, state));
    ++state.attributes.nlink;
    state.attributes.ctime_ns = static_cast<int64_t>(record.time_ns);
    return ok();
}

Status UndoPlanner::plan_unlink(const Record& record) {
    const auto& body = record.as<journal::Unlink>();
    HF_TRY(save_name(body.parent, body.name, record.object, record));
    return lose_name(record.object, record);
}

Status UndoPlanner::plan_rename(const Record& record) {
    const auto& body = record.as<journal::Rename>();
    HF_TRY(save_name(body.old_parent, body.old_name, record.object, record));
    HF_TRY(save_name(body.new_parent, body.new_name, body.other, record));
    HF_TRY(keep_time_of_moved(record.object));
    if (body.exchange) HF_TRY(keep_time_of_moved(body.other));
    return body.other && !body.exchange ? lose_name(body.other, record) : ok();
}

// A redo takes the time from what is saved here: by then the image may have the changed one.
Status UndoPlanner::keep_time_of_moved(const ObjectId& object) {
    if (!pending_.count(object)) {
        const auto location = HF_TRY(files_.location(object));
        if (location && !S_ISDIR(location->mode)) return ok();
    }
    const Pending& state = *HF_TRY(pending(object));
    if (!S_ISDIR(state.attributes.mode)) return ok();
    HF_TRY(save_attributes(object, state));
    changes_.keep_time(object, state.attributes.mtime_ns);
    return ok();
}

}  // namespace holdfast::rewind
