#include "base/inner_binds.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/processes.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast {
namespace {

bool lies_within(const MountEntry& entry, std::string_view directory) {
    return entry.point != directory && is_within(entry.point, directory);
}

// What the covers of TYPE lie over: the mount on which DIRECTORY itself is found.
const MountEntry* mount_beneath(const std::vector<MountEntry>& table, std::string_view directory, std::string_view type) {
    const MountEntry* best = nullptr;
    for (const MountEntry& entry : table)
        if (entry.type != type && is_within(directory, entry.point) && (!best || entry.point.size() >= best->point.size())) best = &entry;
    return best;
}

bool shows_what_lies_beneath(const MountEntry& entry, const MountEntry& beneath) {
    return entry.device == beneath.device && entry.root == path_inside(beneath, entry.point);
}

// The mount through which what FDINFO describes was opened; -1: that cannot be told.
int mount_of_descriptor(const std::string& fdinfo) {
    std::ifstream file(fdinfo);
    int id = -1;
    for (std::string word; file >> word;)
        if (word == "mnt_id:" && file >> id) return id;
    return -1;
}

bool stands_in(const std::string& link, int mount_id) {
    const UniqueFd place(::open(link.c_str(), O_PATH | O_CLOEXEC));
    return place && mount_of_descriptor("/proc/self/fdinfo/" + std::to_string(place.get())) == mount_id;
}

// address permissions offset device inode path: the device is that of the mount's file system, written in hexadecimal.
bool maps_from(const std::string& maps, const std::string& device) {
    std::ifstream file(maps);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string address, permissions, offset;
        unsigned major = 0, minor = 0;
        char colon = 0;
        words >> address >> permissions >> offset >> std::hex >> major >> colon >> minor;
        if (words && std::to_string(major) + ":" + std::to_string(minor) == device) return true;
    }
    return false;
}

// Nothing in the mount itself is asked, which may not be served.
bool is_held(const MountEntry& cover) {
    for (const int pid : process_ids()) {
        const std::string directory = "/proc/" + std::to_string(pid);
        if (stands_in(directory + "/cwd", cover.id) || stands_in(directory + "/root", cover.id)) return true;
        for (const int fd : numbers_in(directory + "/fdinfo"))
            if (mount_of_descriptor(directory + "/fdinfo/" + std::to_string(fd)) == cover.id) return true;
        if (maps_from(directory + "/maps", cover.device)) return true;
    }
    return false;
}

}  // namespace

std::vector<MountEntry> inner_binds(const std::vector<MountEntry>& table, std::string_view directory, std::string_view type) {
    std::vector<MountEntry> binds;
    const MountEntry* beneath = mount_beneath(table, directory, type);
    if (!beneath) return binds;
    for (const MountEntry& entry : table)
        if (lies_within(entry, directory) && shows_what_lies_beneath(entry, *beneath)) binds.push_back(entry);
    return binds;
}

const MountEntry* other_mount_within(const std::vector<MountEntry>& table, std::string_view directory, std::string_view type) {
    const MountEntry* beneath = mount_beneath(table, directory, type);
    for (const MountEntry& entry : table)
        if (lies_within(entry, directory) && !(beneath && shows_what_lies_beneath(entry, *beneath))) return &entry;
    return nullptr;
}

Status unmount_with_binds(const std::string& directory, std::string_view type) {
    const auto table = HF_TRY(read_mount_table());
    int flags = UMOUNT_NOFOLLOW;
    if (!inner_binds(table, directory, type).empty()) {
        // It would be taken along, unseen.
        if (const MountEntry* other = other_mount_within(table, directory, type))
            return Error{ErrorCode::busy, "another file system is mounted at " + quoted(other->point) + "; unmount it first"};
        const auto cover = std::find_if(table.rbegin(), table.rend(), [&](const MountEntry& entry) { return entry.point == directory; });
        if (cover != table.rend() && is_held(*cover)) return errno_error(EBUSY, "unmounting " + quoted(directory));
        flags |= MNT_DETACH;
    }
    if (::umount2(directory.c_str(), flags) != 0) return errno_error(errno, "unmounting " + quoted(directory));
    return ok();
}

}  // namespace holdfast
