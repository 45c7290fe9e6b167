#include "tools/cli/mounts.h"

namespace holdfast::cli {

const MountEntry* mount_at(const std::vector<MountEntry>& mounts, std::string_view path) {
    const MountEntry* found = nullptr;
    for (const MountEntry& mount : mounts) {
        if (mount.point == path) found = &mount;
    }
    return found;
}

const MountEntry* mount_below(const std::vector<MountEntry>& mounts, std::string_view path) {
    for (const MountEntry& mount : mounts) {
        if (mount.point != path && is_within(mount.point, path)) return &mount;
    }
    return nullptr;
}

Result<bool> is_captured(const std::string& directory) {
    auto mounts = HF_TRY(read_mount_table());
    const MountEntry* mount = mount_at(mounts, directory);
    return mount != nullptr && mount->type == capture_mount_type;
}

}  // namespace holdfast::cli
