// What is mounted where, as far as the commands care.
// Thread rule: plain questions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/mount_table.h"
#include "base/result.h"

namespace holdfast::cli {

inline constexpr std::string_view capture_mount_type = "fuse.holdfast";
inline constexpr std::string_view past_mount_type = "fuse.holdfast-past";

// The newest mount at exactly PATH, or nothing. The pointer is into MOUNTS.
const MountEntry* mount_at(const std::vector<MountEntry>& mounts, std::string_view path);
// The first mount strictly below PATH, or nothing.
const MountEntry* mount_below(const std::vector<MountEntry>& mounts, std::string_view path);

// Whether capture covers DIRECTORY now. A mount whose server is gone counts: nobody reaches the directory through it.
Result<bool> is_captured(const std::string& directory);

}  // namespace holdfast::cli
