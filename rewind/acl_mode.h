// A POSIX access ACL and the permission bits of a mode are two views of one thing: the owner's entry is the user
// bits, the mask is the group bits, the entry for others is the other bits; a chmod changes all of them.
//
// The undo log keeps them apart: a chmod saves the old mode, not the old ACL. A view therefore fits the ACL that
// it found to the mode of its moment, which gives exactly the ACL of that moment.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::rewind {

inline constexpr std::string_view access_acl_xattr = "system.posix_acl_access";

// VALUE is the xattr as the kernel gives it (version 2). A value that is not one is returned as it is.
std::string fit_acl_to_mode(std::string value, uint32_t mode);

// The mode of an object whose mode was MODE after its access ACL was set to VALUE. A value that is none changes nothing.
uint32_t mode_of_acl(std::string_view value, uint32_t mode);

}  // namespace holdfast::rewind
