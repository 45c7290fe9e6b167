#include "rewind/reconcile/object_repair.h"

#include <sys/stat.h>

#include <algorithm>

#include "rewind/acl_mode.h"

namespace holdfast::rewind {

namespace {

// Written through any file, this goes; so it comes after the bytes.
constexpr std::string_view capability_xattr = "security.capability";

bool is_regular(uint32_t mode) {
    return (mode & S_IFMT) == S_IFREG;
}

const std::string* find_xattr(const XattrList& list, std::string_view name) {
    for (const auto& [key, value] : list)
        if (key == name) return &value;
    return nullptr;
}

}  // namespace

Status ObjectRepair::bear(const ObjectId& parent, SourceDirectory& directory, const TreeObject& object) {
    const uint32_t type = object.attributes.mode & S_IFMT;
    const XattrList xattrs = HF_TRY(directory.xattrs(object));
    std::string target;
    if (type == S_IFLNK) target = HF_TRY(directory.target(object));
    journal::Birth birth = birth_of(parent, object.name, object.attributes, target);
    std::vector<journal::Xattr> later;
    const size_t in_birth = xattrs_in_birth(xattrs);
    for (size_t i = 0; i < xattrs.size(); ++i) {
        const auto& [name, value] = xattrs[i];
        if (type == S_IFREG && name == capability_xattr) continue;  // comes with the bytes
        (i < in_birth ? birth.xattrs : later).push_back({name, value});
    }
    HF_TRY(ledger_.bear(object.id, birth));
    for (const journal::Xattr& xattr : later)
        HF_TRY(ledger_.change(HF_SETXATTR, object.id, journal::SetXattr{xattr}));
    if (type != S_IFREG) return ok();
    return bytes_.fill(directory, object);
}

Status ObjectRepair::finish_born(const TreeObject& directory) {
    if (!ledger_.is_dirty(directory.id)) return ok();
    return ledger_.set_attributes(directory.id, directory.attributes, HF_ATTR_MTIME);
}

Status ObjectRepair::compare(SourceDirectory& directory, const TreeObject& object, bool leaves_mtime) {
    const ObjectAttributes seen = HF_TRY(ledger_.target().attributes(object.id));
    const XattrList wanted = HF_TRY(directory.xattrs(object));
    const XattrList present = HF_TRY(ledger_.target().xattrs(object.id));
    bool has_moved_mtime = ledger_.is_dirty(object.id);
    if (is_regular(object.attributes.mode)) has_moved_mtime |= HF_TRY(bytes_.compare(directory, object, seen));
    HF_TRY(compare_attributes(object, seen, wanted, present));
    if (leaves_mtime) return ok();
    if (has_moved_mtime || object.attributes.mtime_ns != seen.mtime_ns)
        HF_TRY(ledger_.set_attributes(object.id, object.attributes, HF_ATTR_MTIME));
    return ok();
}

Status repeat_what_writing_clears(RepairLedger& ledger, const TreeObject& object, const XattrList& xattrs) {
    if (const std::string* value = find_xattr(xattrs, capability_xattr))
        HF_TRY(ledger.change(HF_SETXATTR, object.id, journal::SetXattr{{capability_xattr, *value}}));
    if (object.attributes.mode & (S_ISUID | S_ISGID)) HF_TRY(ledger.set_attributes(object.id, object.attributes, HF_ATTR_MODE));
    return ok();
}

Status ObjectRepair::compare_attributes(const TreeObject& object, const ObjectAttributes& seen,
                                        const XattrList& wanted, const XattrList& present) {
    const ObjectAttributes& ours = object.attributes;
    const bool owner_differs = ours.uid != seen.uid || ours.gid != seen.gid;
    const bool mode_differs = (ours.mode & 07777) != (seen.mode & 07777);
    // A change of owner clears set-id bits and capabilities, a change of mode changes the access ACL and the other way
    // round; so owner first, then mode, then xattrs, then the mode again.
    if (owner_differs) HF_TRY(ledger_.set_attributes(object.id, object.attributes, HF_ATTR_UID | HF_ATTR_GID | HF_ATTR_MODE));
    else if (mode_differs) HF_TRY(ledger_.set_attributes(object.id, object.attributes, HF_ATTR_MODE));
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
    if (acl_changed) HF_TRY(ledger_.set_attributes(object.id, object.attributes, HF_ATTR_MODE));
    return ok();
}

}  // namespace holdfast::rewind
