#include "tools/cli/mounts.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/processes.h"

namespace holdfast::cli {

namespace {

std::string namespace_of(const std::string& process) {
    std::error_code unread;
    return std::filesystem::read_symlink("/proc/" + process + "/ns/mnt", unread).native();
}

}  // namespace

const MountEntry* mount_at(const std::vector<MountEntry>& mounts, std::string_view path) {
    const MountEntry* found = nullptr;
    for (const MountEntry& mount : mounts) {
        if (mount.point == path) found = &mount;
    }
    return found;
}

bool is_captured(const std::vector<MountEntry>& mounts, std::string_view directory) {
    const MountEntry* mount = mount_at(mounts, directory);
    return mount != nullptr && mount->type == capture_mount_type;
}

Result<bool> is_captured(const std::string& directory) {
    auto mounts = HF_TRY(read_mount_table());
    return is_captured(mounts, directory);
}

std::vector<MountElsewhere> mounted_elsewhere(std::string_view source) {
    std::vector<MountElsewhere> found;
    std::set<std::string> seen{"", namespace_of("self")};
    for (const int pid : process_ids()) {
        if (!seen.insert(namespace_of(std::to_string(pid))).second) continue;
        const auto table = read_mount_table(std::to_string(pid));
        if (!table) continue;
        const auto mount = std::find_if(table->begin(), table->end(), [&](const MountEntry& entry) { return entry.type == capture_mount_type && entry.source == source; });
        if (mount != table->end()) found.push_back({pid, command_of(pid), mount->point});
    }
    return found;
}

}  // namespace holdfast::cli
