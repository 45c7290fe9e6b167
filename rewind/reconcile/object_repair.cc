#include "rewind/reconcile/object_repair.h"

#include <sys/stat.h>

#include <algorithm>

#include "rewind/acl_mode.h"

namespace holdfast::rewind {

namespace {

// Written through any file, this goes; so it comes after the bytes.
constexpr std::string_view capability_xattr = "security.capability";
// Larger sets of xattrs do not fit into a record of birth; the rest follows one by one.
constexpr size_t birth_xattr_bytes_max = 256 << 10;

bool is_regular(uint32_t mode) {
    return (mode & S_IFMT) == S_IFREG;
}

const std::string* find_xattr(const XattrList& list, std::string_view name) {
    for (const auto& [key, value] : list)
        if (key == name) return &value;
    return nullptr;
}

journal::Attributes record_attributes(const ObjectAttributes& attributes, uint32_t valid) {
    return {valid,
            attributes.mode,
            attributes.uid,
            attributes.gid,
            attributes.atime_ns,
            attributes.mtime_ns,
            attributes.ctime_ns};
}

}  // namespace

ObjectRepair::ObjectRepair(RepairLedger& ledger, const CompareScope& scope) : ledger_(ledger), scope_(scope) {}

Status ObjectRepair::bear(const ObjectId& directory, int directory_fd, const TreeObject& object) {
    const uint32_t type = object.attributes.mode & S_IFMT;
    const XattrList xattrs = HF_TRY(xattrs_at(directory_fd, object.name));
    journal::Birth birth;
    birth.parent = directory;
    birth.name = object.name;
    birth.attributes = record_attributes(object.attributes, HF_ATTR_ALL);
    std::string target;
    if (type == S_IFLNK) target = HF_TRY(readlink_at(directory_fd, object.name));
    birth.target = target;
    if (type == S_IFCHR || type == S_IFBLK) birth.rdev = object.attributes.rdev;

    std::vector<journal::Xattr> later;
    size_t bytes = 0;
    for (const auto& [name, value] : xattrs) {
        bytes += name.size() + value.size();
        const bool fits = bytes <= birth_xattr_bytes_max;
        if (type == S_IFREG && name == capability_xattr) continue;  // fill() sets it
        (fits ? birth.xattrs : later).push_back({name, value});
    }
    HF_TRY(ledger_.bear(object.id, birth));
    for (const journal::Xattr& xattr : later)
        HF_TRY(ledger_.change(HF_SETXATTR, object.id, journal::SetXattr{xattr}));
    if (type != S_IFREG) return ok();
    return fill(directory_fd, object);
}

Status ObjectRepair::fill(int directory_fd, const TreeObject& object) {
    if (object.attributes.size > 0) {
        const UniqueFd file = HF_TRY(open_file_at(directory_fd, object.name));
        uint64_t end = 0;
        for (const DataExtent& extent : HF_TRY(data_extents_of(file.get()))) {
            HF_TRY(write_range(object, file.get(), extent.offset, extent.length));
            end = extent.offset + extent.length;
        }
        if (end < object.attributes.size)
            HF_TRY(ledger_.change(HF_TRUNCATE, object.id, journal::Truncate{object.attributes.size}));
    }
    HF_TRY(repeat_what_writing_clears(object, HF_TRY(xattrs_at(directory_fd, object.name))));
    if (object.attributes.size == 0) return ok();
    return set_attributes(object, HF_ATTR_MTIME);
}

Status ObjectRepair::finish_born(const TreeObject& directory) {
    if (!ledger_.is_dirty(directory.id)) return ok();
    return set_attributes(directory, HF_ATTR_MTIME);
}

bool ObjectRepair::is_suspect(const TreeObject& object, const ObjectAttributes& seen) const {
    return scope_.everything || object.attributes.size != seen.size || object.attributes.mtime_ns != seen.mtime_ns ||
           object.attributes.ctime_ns >= scope_.ctime_from_ns || scope_.touched.count(object.id) != 0;
}

Status ObjectRepair::compare(int directory_fd, const TreeObject& object, bool leaves_mtime) {
    const ObjectAttributes seen = HF_TRY(ledger_.target().attributes(object.id));
    const XattrList wanted = HF_TRY(xattrs_at(directory_fd, object.name));
    const XattrList present = HF_TRY(ledger_.target().xattrs(object.id));
    bool has_moved_mtime = ledger_.is_dirty(object.id);
    if (is_regular(object.attributes.mode) && is_suspect(object, seen)) {
        const uint64_t before = ledger_.repairs();
        ++files_compared_;
        const UniqueFd file = HF_TRY(open_file_at(directory_fd, object.name));
        HF_TRY(compare_bytes(object, file.get(), seen.size));
        if (ledger_.repairs() != before) {
            has_moved_mtime = true;
            HF_TRY(repeat_what_writing_clears(object, wanted));
        }
    }
    HF_TRY(compare_attributes(object, seen, wanted, present));
    if (leaves_mtime) return ok();
    if (has_moved_mtime || object.attributes.mtime_ns != seen.mtime_ns)
        HF_TRY(set_attributes(object, HF_ATTR_MTIME));
    return ok();
}

Status ObjectRepair::set_attributes(const TreeObject& object, uint32_t valid) {
    return ledger_.change(HF_SETATTR, object.id, journal::SetAttr{record_attributes(object.attributes, valid)});
}

Status ObjectRepair::repeat_what_writing_clears(const TreeObject& object, const XattrList& xattrs) {
    if (const std::string* value = find_xattr(xattrs, capability_xattr))
        HF_TRY(ledger_.change(HF_SETXATTR, object.id, journal::SetXattr{{capability_xattr, *value}}));
    if (object.attributes.mode & (S_ISUID | S_ISGID)) HF_TRY(set_attributes(object, HF_ATTR_MODE));
    return ok();
}

Status ObjectRepair::compare_attributes(const TreeObject& object, const ObjectAttributes& seen,
                                        const XattrList& wanted, const XattrList& present) {
    const ObjectAttributes& ours = object.attributes;
    const bool owner_differs = ours.uid != seen.uid || ours.gid != seen.gid;
    const bool mode_differs = (ours.mode & 07777) != (seen.mode & 07777);
    // A change of owner clears set-id bits and capabilities, a change of mode changes the access ACL and the other way
    // round; so owner first, then mode, then xattrs, then the mode again.
    if (owner_differs) HF_TRY(set_attributes(object, HF_ATTR_UID | HF_ATTR_GID | HF_ATTR_MODE));
    else if (mode_differs) HF_TRY(set_attributes(object, HF_ATTR_MODE));
    bool acl_changed = false;
    for (const auto& [name, value] : wanted) {
        const std::string* old = find_xattr(present, name);
        const bool is_acl = name == access_acl_xattr;
        const bool was_cleared = (is_acl && mode_differs) || (owner_differs && name == capability_xattr);
        if (old && *old == value && !was_cleared) continue;
        HF_TRY(ledger_.change(HF_SETXATTR, object.id, journal::SetXattr{{name, value}}));
        acl_changed |= is_acl;
    }
    for (const auto& [name, value] : present) {
        if (find_xattr(wanted, name)) continue;
        HF_TRY(ledger_.change(HF_REMOVEXATTR, object.id, journal::RemoveXattr{name}));
        acl_changed |= name == access_acl_xattr;
    }
    if (acl_changed) HF_TRY(set_attributes(object, HF_ATTR_MODE));
    return ok();
}

}  // namespace holdfast::rewind
