// What is mounted where, as this process sees it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::cli {

struct Mount {
    std::string point;   // absolute, escapes resolved
    std::string type;    // "ext4", "fuse.holdfast"
    std::string source;
};

// The text of /proc/PID/mountinfo. Lines that make no sense are left out.
std::vector<Mount> parse_mountinfo(std::string_view text);
// Of this process. Errors: io.
Result<std::vector<Mount>> current_mounts();

// The newest mount at exactly PATH, or nothing. The pointer is into MOUNTS.
const Mount* mount_at(const std::vector<Mount>& mounts, std::string_view path);
// The first mount strictly below PATH, or nothing.
const Mount* mount_below(const std::vector<Mount>& mounts, std::string_view path);

// Whether INNER is OUTER or lies in it. Both absolute and normalised.
bool contains(std::string_view outer, std::string_view inner);

inline constexpr std::string_view capture_mount_type = "fuse.holdfast";
// Whether capture covers DIRECTORY now.
Result<bool> is_captured(const std::string& directory);

}  // namespace holdfast::cli
