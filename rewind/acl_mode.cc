#include "rewind/acl_mode.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <cstring>
#include <optional>

namespace holdfast::rewind {

std::string fit_acl_to_mode(std::string value, uint32_t mode) {
    posix_acl_xattr_header header;
    if (value.size() < sizeof header) return value;
    memcpy(&header, value.data(), sizeof header);
    if (header.a_version != POSIX_ACL_XATTR_VERSION) return value;
    const size_t count = (value.size() - sizeof header) / sizeof(posix_acl_xattr_entry);

    const auto entry_at = [&](size_t i) { return value.data() + sizeof header + i * sizeof(posix_acl_xattr_entry); };
    bool has_mask = false;
    for (size_t i = 0; i < count; ++i) {
        posix_acl_xattr_entry entry;
        memcpy(&entry, entry_at(i), sizeof entry);
        if (entry.e_tag == ACL_MASK) has_mask = true;
    }
    for (size_t i = 0; i < count; ++i) {
        posix_acl_xattr_entry entry;
        memcpy(&entry, entry_at(i), sizeof entry);
        // With a mask the group bits are the mask and the owning group's entry is independent of the mode.
        if (entry.e_tag == ACL_USER_OBJ) entry.e_perm = mode >> 6 & 7;
        if (entry.e_tag == ACL_MASK || (entry.e_tag == ACL_GROUP_OBJ && !has_mask)) entry.e_perm = mode >> 3 & 7;
        if (entry.e_tag == ACL_OTHER) entry.e_perm = mode & 7;
        memcpy(entry_at(i), &entry, sizeof entry);
    }
    return value;
}

uint32_t mode_of_acl(std::string_view value, uint32_t mode) {
    posix_acl_xattr_header header;
    if (value.size() < sizeof header) return mode;
    memcpy(&header, value.data(), sizeof header);
    if (header.a_version != POSIX_ACL_XATTR_VERSION) return mode;
    uint32_t user = mode >> 6 & 7, group = mode >> 3 & 7, other = mode & 7;
    std::optional<uint32_t> mask;
    for (size_t at = sizeof header; at + sizeof(posix_acl_xattr_entry) <= value.size(); at += sizeof(posix_acl_xattr_entry)) {
        posix_acl_xattr_entry entry;
        memcpy(&entry, value.data() + at, sizeof entry);
        if (entry.e_tag == ACL_USER_OBJ) user = entry.e_perm & 7;
        if (entry.e_tag == ACL_GROUP_OBJ) group = entry.e_perm & 7;
        if (entry.e_tag == ACL_OTHER) other = entry.e_perm & 7;
        if (entry.e_tag == ACL_MASK) mask = entry.e_perm & 7;
    }
    return (mode & ~0777u) | user << 6 | mask.value_or(group) << 3 | other;
}

}  // namespace holdfast::rewind
