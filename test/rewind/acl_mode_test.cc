#include "rewind/acl_mode.h"

#include <catch2/catch.hpp>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <vector>

namespace holdfast::rewind {
namespace {

struct Entry {
    uint16_t tag, permissions;
    uint32_t id = ACL_UNDEFINED_ID;
};

std::string acl(const std::vector<Entry>& entries, uint32_t version = POSIX_ACL_XATTR_VERSION) {
    const posix_acl_xattr_header header{version};
    std::string value(reinterpret_cast<const char*>(&header), sizeof header);
    for (const Entry& entry : entries) {
        const posix_acl_xattr_entry raw{entry.tag, entry.permissions, entry.id};
        value.append(reinterpret_cast<const char*>(&raw), sizeof raw);
    }
    return value;
}

TEST_CASE("acl and mode: with a mask the group bits are the mask") {
    const std::string before = acl({{ACL_USER_OBJ, 7}, {ACL_USER, 5, 1000}, {ACL_GROUP_OBJ, 4}, {ACL_MASK, 5}, {ACL_OTHER, 0}});
    const std::string after = acl({{ACL_USER_OBJ, 6}, {ACL_USER, 5, 1000}, {ACL_GROUP_OBJ, 4}, {ACL_MASK, 2}, {ACL_OTHER, 1}});
    CHECK(fit_acl_to_mode(before, 0100621) == after);
    CHECK(mode_of_acl(after, 0104777) == 0104621);
}

TEST_CASE("acl and mode: without a mask the group bits are the owning group's") {
    const std::string before = acl({{ACL_USER_OBJ, 7}, {ACL_GROUP_OBJ, 7}, {ACL_OTHER, 7}});
    CHECK(fit_acl_to_mode(before, 0640) == acl({{ACL_USER_OBJ, 6}, {ACL_GROUP_OBJ, 4}, {ACL_OTHER, 0}}));
    CHECK(mode_of_acl(before, 02000) == 02777);
}

TEST_CASE("acl and mode: fitting an ACL to its own mode changes nothing") {
    for (uint32_t mode = 0; mode < 01000; ++mode) {
        const std::string value = fit_acl_to_mode(acl({{ACL_USER_OBJ, 0}, {ACL_USER, 7, 5}, {ACL_GROUP_OBJ, 3}, {ACL_MASK, 0}, {ACL_OTHER, 0}}), mode);
        CHECK(mode_of_acl(value, 0) == mode);
        CHECK(fit_acl_to_mode(value, mode) == value);
    }
}

TEST_CASE("acl and mode: what is no ACL stays as it is") {
    const std::string whole = acl({{ACL_USER_OBJ, 7}, {ACL_GROUP_OBJ, 7}, {ACL_OTHER, 7}});
    for (const std::string& value : {std::string(), std::string("abc"), acl({{ACL_USER_OBJ, 7}}, 1)}) {
        CHECK(fit_acl_to_mode(value, 0) == value);
        CHECK(mode_of_acl(value, 0123) == 0123);
    }
    // Cut off in the middle of an entry: the whole ones count.
    for (size_t size = 0; size < whole.size(); ++size) CHECK(fit_acl_to_mode(whole.substr(0, size), 0).size() == size);
}

}  // namespace
}  // namespace holdfast::rewind
