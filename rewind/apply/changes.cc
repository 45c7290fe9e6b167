#include "rewind/apply/changes.h"

#include <sys/stat.h>

#include "rewind/acl_mode.h"
#include "rewind/image.h"

namespace holdfast::rewind {

size_t Changes::KeyHash::operator()(const Key& key) const {
    return std::hash<ObjectId>()(key.directory) * 31 + std::hash<std::string_view>()(key.name);
}

const ObjectChange* Changes::find(const ObjectId& object) const {
    const auto found = objects_.find(object);
    return found == objects_.end() ? nullptr : &found->second;
}

// The bytes of a file or the entries of a directory changed. The record's time is when; the exact time follows in a
// SETATTR when the object is closed.
void Changes::touch(const ObjectId& object, const Record& record) {
    ObjectChange& change = objects_[object];
    change.valid |= HF_ATTR_MTIME;
    change.attributes.mtime_ns = static_cast<int64_t>(record.time_ns);
}

void Changes::bind(const Record& record, const ObjectId& directory, std::string_view name, const ObjectId& before,
                   const ObjectId& after) {
    const auto [position, is_new] = positions_.emplace(Key{directory, name}, names_.size());
    if (is_new) names_.push_back({directory, name, before, after});
    names_[position->second].wanted = after;
    touch(directory, record);
}

void Changes::born(const Record& record) {
    const auto& body = record.as<journal::Birth>();
    ObjectChange& change = objects_[record.object];
    change.birth = &record;
    change.valid = body.attributes.valid & ~HF_ATTR_CTIME;
    change.attributes = body.attributes;
    change.xattrs.clear();
    for (const journal::Xattr& xattr : body.xattrs)
        if (!is_private_xattr(xattr.name)) change.xattrs[xattr.name] = xattr.value;
    if (!body.name.empty()) bind(record, body.parent, body.name, ObjectId{}, record.object);
}

void Changes::set_attributes(const ObjectId& object, const journal::Attributes& attributes) {
    ObjectChange& change = objects_[object];
    change.valid |= attributes.valid & ~HF_ATTR_CTIME;
    if (attributes.valid & HF_ATTR_MODE) change.attributes.mode = attributes.mode;
    if (attributes.valid & HF_ATTR_UID) change.attributes.uid = attributes.uid;
    if (attributes.valid & HF_ATTR_GID) change.attributes.gid = attributes.gid;
    if (attributes.valid & HF_ATTR_ATIME) change.attributes.atime_ns = attributes.atime_ns;
    if (attributes.valid & HF_ATTR_MTIME) change.attributes.mtime_ns = attributes.mtime_ns;
}

void Changes::set_xattr(const ObjectId& object, std::string_view name, std::optional<std::string_view> value) {
    // An application that imitates our own xattr must not give an object of the image another identity.
    if (is_private_xattr(name)) return;
    ObjectChange& change = objects_[object];
    change.xattrs[name] = value;
    // Modes are set after ACLs and change them; an older mode would spoil a newer ACL.
    if (name == access_acl_xattr && value && change.valid & HF_ATTR_MODE)
        change.attributes.mode = mode_of_acl(*value, change.attributes.mode);
}

void Changes::keep_mode(const ObjectId& object, uint32_t mode) {
    ObjectChange& change = objects_[object];
    if (change.valid & HF_ATTR_MODE) return;
    change.valid |= HF_ATTR_MODE;
    change.attributes.mode = mode;
}

void Changes::keep_time(const ObjectId& object, int64_t mtime_ns) {
    ObjectChange& change = objects_[object];
    if (change.valid & HF_ATTR_MTIME) return;
    change.valid |= HF_ATTR_MTIME;
    change.attributes.mtime_ns = mtime_ns;
}

void Changes::keep_capability(const ObjectId& object, std::string_view value) {
    objects_[object].xattrs.emplace(capability_xattr, value);
}

void Changes::follow(const Record& record) {
    switch (record.type) {
        case HF_WRITE:
        case HF_TRUNCATE:
        case HF_FALLOCATE: touch(record.object, record); break;
        case HF_CREATE:
        case HF_MKDIR:
        case HF_MKNOD:
        case HF_SYMLINK: born(record); break;
        case HF_LINK: {
            const auto& body = record.as<journal::Link>();
            bind(record, body.parent, body.name, ObjectId{}, record.object);
            break;
        }
        case HF_UNLINK:
        case HF_RMDIR: {
            const auto& body = record.as<journal::Unlink>();
            bind(record, body.parent, body.name, record.object, ObjectId{});
            break;
        }
        case HF_RENAME: {
            const auto& body = record.as<journal::Rename>();
            bind(record, body.old_parent, body.old_name, record.object, body.exchange ? body.other : ObjectId{});
            bind(record, body.new_parent, body.new_name, body.other, record.object);
            break;
        }
        case HF_SETATTR: set_attributes(record.object, record.as<journal::SetAttr>().attributes); break;
        case HF_SETXATTR: {
            const auto& xattr = record.as<journal::SetXattr>().xattr;
            set_xattr(record.object, xattr.name, xattr.value);
            break;
        }
        case HF_REMOVEXATTR: set_xattr(record.object, record.as<journal::RemoveXattr>().name, std::nullopt); break;
        default: break;  // events and the end of an orphan change nothing
    }
}

}  // namespace holdfast::rewind
