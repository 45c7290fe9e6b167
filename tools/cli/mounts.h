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

bool is_captured(const std::vector<MountEntry>& mounts, std::string_view directory);
// Whether capture covers DIRECTORY now. A mount whose server is gone counts: nobody reaches the directory through it.
Result<bool> is_captured(const std::string& directory);

// A process in whose mount namespace, another one than ours, something is still mounted that comes from SOURCE. Of each such namespace one; what cannot be read is left out.
struct MountElsewhere {
    int pid = 0;
    std::string command;
    std::string point;  // as it sees it
};
std::vector<MountElsewhere> mounted_elsewhere(std::string_view source);

}  // namespace holdfast::cli
