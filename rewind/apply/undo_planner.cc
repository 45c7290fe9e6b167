#include "rewind/apply/undo_planner.h"

#include <sys/stat.h>

#include <cstring>

#include "rewind/acl_mode.h"
#include "rewind/xattrs.h"

namespace holdfast::rewind {

Status UndoPlanner::plan(const Record& record) {
    builder_.begin(record);
    HF_TRY(plan_effect(record));
    changes_.follow(record);
    return builder_.finish();
}

Status UndoPlanner::plan_effect(const Record& record) {
    switch (record.type) {
        case HF_WRITE:
        case HF_TRUNCATE:
        case HF_FALLOCATE: return plan_data(record);
        case HF_CREATE:
        case HF_MKDIR:
        case HF_MKNOD:
        case HF_SYMLINK: return plan_birth(record);
        case HF_LINK: return plan_link(record);
        case HF_UNLINK:
        case HF_RMDIR: return plan_unlink(record);
        case HF_RENAME: return plan_rename(record);
        case HF_SETATTR: return plan_attributes(record);
        case HF_SETXATTR: return plan_xattr(record, record.as<journal::SetXattr>().xattr.name);
        case HF_REMOVEXATTR: return plan_xattr(record, record.as<journal::RemoveXattr>().name);
        case HF_BOOKMARK:
        case HF_GAP_BEGIN:
        case HF_GAP_END: return plan_event(record);
        default: return ok();  // the record marks a moment and overwrites nothing
    }
}

Result<UndoPlanner::Pending*> UndoPlanner::pending(const ObjectId& object) {
    if (auto known = pending_.find(object); known != pending_.end()) return &known->second;
    const int fd = HF_TRY(files_.fd(object));
    Pending state;
    state.attributes = HF_TRY(files_.image().attributes_of(fd));
    state.in_image = true;
    state.image_size = state.attributes.size;
    const auto location = HF_TRY(files_.location(object));
    if (location->links == 0) state.attributes.nlink = 0;
    return &pending_.emplace(object, std::move(state)).first->second;
}

Status UndoPlanner::save_attributes(const ObjectId& object, const Pending& state) {
    UndoItem item{UndoKind::attributes, object};
    item.attributes = state.attributes;
    return builder_.add(item);
}

// The record changes the object's time of modification, and CHANGES_MORE when other attributes as well.
Status UndoPlanner::change_time(const ObjectId& object, Pending& state, const Record& record, bool changes_more) {
    if (unsettled_.size() >= unsettled_times_max) unsettled_.clear();
    const bool is_first = unsettled_.insert(object).second;
    if (is_first || changes_more) HF_TRY(save_attributes(object, state));
    state.attributes.mtime_ns = state.attributes.ctime_ns = static_cast<int64_t>(record.time_ns);
    return ok();
}

Status UndoPlanner::plan_attributes(const Record& record) {
    const auto& wanted = record.as<journal::SetAttr>().attributes;
    Pending& state = *HF_TRY(pending(record.object));
    HF_TRY(save_attributes(record.object, state));
    ObjectAttributes& now = state.attributes;
    if (wanted.valid & (HF_ATTR_UID | HF_ATTR_GID)) {
        if (S_ISREG(now.mode)) HF_TRY(keep_capability(record.object, state));
        if (!S_ISLNK(now.mode) && !(wanted.valid & HF_ATTR_MODE)) changes_.keep_mode(record.object, now.mode);
    }
    if (wanted.valid & HF_ATTR_MODE) now.mode = (now.mode & S_IFMT) | (wanted.mode & 07777);
    if (wanted.valid & HF_ATTR_UID) now.uid = wanted.uid;
    if (wanted.valid & HF_ATTR_GID) now.gid = wanted.gid;
    if (wanted.valid & HF_ATTR_ATIME) now.atime_ns = wanted.atime_ns;
    if (wanted.valid & HF_ATTR_MTIME) {
        now.mtime_ns = wanted.mtime_ns;
        unsettled_.erase(record.object);
    }
    now.ctime_ns = static_cast<int64_t>(record.time_ns);
    return ok();
}

Status UndoPlanner::plan_xattr(const Record& record, std::string_view name) {
    if (is_private_xattr(name)) return ok();  // as in Changes: our own are nobody else's
    Pending& state = *HF_TRY(pending(record.object));
    HF_TRY(save_xattr(record.object, state, name));
    if (name != access_acl_xattr || record.type != HF_SETXATTR) return ok();
    // An access ACL is also the permission bits.
    HF_TRY(save_attributes(record.object, state));
    state.attributes.mode = mode_of_acl(record.as<journal::SetXattr>().xattr.value, state.attributes.mode);
    return ok();
}

Result<std::optional<std::string_view>> UndoPlanner::xattr_now(const ObjectId& object, const Pending& state, std::string_view name) {
    if (const ObjectChange* change = changes_.find(object)) {
        const auto set = change->xattrs.find(name);
        if (set != change->xattrs.end()) return set->second;
        if (change->birth) return std::optional<std::string_view>();
    }
    if (!state.in_image) return std::optional<std::string_view>();
    const auto value = HF_TRY(xattr_of_object(files_.image(), object, HF_TRY(files_.fd(object)), name));
    if (!value) return std::optional<std::string_view>();
    return std::optional(arena_.keep(std::string_view(*value)));
}

Status UndoPlanner::save_xattr(const ObjectId& object, const Pending& state, std::string_view name) {
    const auto value = HF_TRY(xattr_now(object, state, name));
    UndoItem item{UndoKind::xattr, object};
    item.name = name;
    item.present = value.has_value();
    if (value) item.data = bytes_of(*value);
    return builder_.add(item);
}

// The kernel drops the capability when the file's bytes or owner change. It is set again with the other xattrs; the
// undo item tells recovery its value, should a crash come in between.
Status UndoPlanner::keep_capability(const ObjectId& object, const Pending& state) {
    if (!state.in_image) return ok();
    if (const ObjectChange* change = changes_.find(object); change && (change->birth || change->xattrs.count(capability_xattr))) return ok();
    const auto value = HF_TRY(xattr_now(object, state, capability_xattr));
    if (!value) return ok();
    HF_TRY(save_xattr(object, state, capability_xattr));
    changes_.keep_capability(object, *value);
    return ok();
}

Status UndoPlanner::plan_event(const Record& record) {
    UndoItem item{UndoKind::event, record.object};
    if (record.type == HF_BOOKMARK) {
        item.data = arena_.keep(bytes_of(record.as<journal::Bookmark>().name));
    } else {
        const auto& gap = record.as<journal::Gap>();
        const hf_gap head{static_cast<uint32_t>(gap.reason), static_cast<uint32_t>(gap.sentence.size()), gap.since_ns};
        const MutableByteSpan payload = arena_.make(sizeof head + gap.sentence.size());
        memcpy(payload.data(), &head, sizeof head);
        memcpy(payload.data() + sizeof head, gap.sentence.data(), gap.sentence.size());
        item.data = payload;
    }
    return builder_.add(item);
}

}  // namespace holdfast::rewind
