// What is mounted where, as /proc/PID/mountinfo tells it. Reading it asks no file system anything, so it also works
// while one of the mounts does not answer.
// Thread rule: plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast {

struct MountEntry {
    int id = 0;
    std::string device;  // "major:minor" of the file system instance
    std::string root;    // what of that file system is mounted: a path inside it
    std::string point;   // where, as seen by the process whose table this is
    std::string type;
    std::string source;
};

// PID "self" or a number. Errors: io (the process is gone).
Result<std::vector<MountEntry>> read_mount_table(const std::string& pid = "self");
std::vector<MountEntry> parse_mount_table(std::string_view text);

// The mount on which PATH (absolute, without links) lies: the longest mount point above it, the latest where
// several are stacked. Null: the table is empty.
const MountEntry* mount_of(const std::vector<MountEntry>& table, std::string_view path);

// The first mount strictly below PATH. Null: there is none.
const MountEntry* mount_below(const std::vector<MountEntry>& table, std::string_view path);

// Whether PATH is DIRECTORY itself or lies beneath it. Both absolute, without links and trailing slashes.
bool is_within(std::string_view path, std::string_view directory);
// PATH, which lies beneath the mount ENTRY, as a path inside its file system.
std::string path_inside(const MountEntry& entry, std::string_view path);

}  // namespace holdfast
