// The mount table of base/, and the type under which our mounts stand in it.
// Thread rule: plain values.
#pragma once

#include "base/mount_table.h"

namespace holdfast::fusefs {

inline constexpr const char* filesystem_type = "fuse.holdfast";

using holdfast::is_within;
using holdfast::mount_of;
using holdfast::MountEntry;
using holdfast::parse_mount_table;
using holdfast::path_inside;
using holdfast::read_mount_table;

}  // namespace holdfast::fusefs
