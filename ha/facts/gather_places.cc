// Directories and stores. Attributes are asked for, never set: a file system that keeps none says so for one that is not there.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <algorithm>

#include "base/mount_table.h"
#include "base/real_path.h"
#include "base/unique_fd.h"
#include "ha/facts/gather.h"
#include "journal/volume.h"

namespace holdfast::ha {

namespace {

constexpr std::string_view own_type = "fuse.holdfast";
constexpr std::string_view remote_types[] = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"};

// Whether the file system keeps such attributes: the one that is asked for need not be there.
bool keeps(const std::string& path, const char* attribute) {
    return ::getxattr(path.c_str(), attribute, nullptr, 0) >= 0 || errno == ENODATA;
}

std::string owner_and_mode(const struct stat& status) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(status.st_mode & 07777));
    return std::to_string(status.st_uid) + ":" + std::to_string(status.st_gid) + " " + mode;
}

Json options_of(const struct statvfs& status) {
    constexpr struct { unsigned long flag; const char* name; } names[] = {{ST_NOSUID, "nosuid"}, {ST_NODEV, "nodev"}, {ST_NOEXEC, "noexec"}, {ST_MANDLOCK, "mand"}};
    Json options = Json::array();
    for (const auto& [flag, name] : names)
        if (status.f_flag & flag) options.push_back(name);
    return options;
}

void set_room(const struct statvfs& status, Json& place) {
    place["bytes_total"] = static_cast<uint64_t>(status.f_blocks) * status.f_frsize;
    place["bytes_free"] = static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
    place["inodes_total"] = static_cast<uint64_t>(status.f_files);
    place["inodes_free"] = static_cast<uint64_t>(status.f_favail);
    place["is_read_only"] = (status.f_flag & ST_RDONLY) != 0;
}

// Flags of the file system's own; one that has none says nothing.
void set_flags(const std::string& directory, Json& place) {
    const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int flags = 0;
    const bool is_known = fd && ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0;
    place["is_casefolded"] = is_known && (flags & FS_CASEFOLD_FL) != 0;
    place["is_encrypted"] = is_known && (flags & FS_ENCRYPT_FL) != 0;
}

// BENEATH: the mounts without our own.
Json directory_facts(const std::string& directory, const std::vector<MountEntry>& mounts, const std::vector<MountEntry>& beneath) {
    Json place;
    struct stat status {};
    struct statvfs room {};
    place["exists"] = ::stat(directory.c_str(), &status) == 0;
    if (!place["exists"]) return place;
    place["is_directory"] = S_ISDIR(status.st_mode);
    place["is_real_path"] = real_path(directory) == directory;
    place["owner_and_mode"] = owner_and_mode(status);
    if (const MountEntry* mount = mount_of(mounts, directory)) {
        place["file_system"] = mount->type;
        place["is_remote"] = std::find(std::begin(remote_types), std::end(remote_types), mount->type) != std::end(remote_types);
        place["is_protected"] = mount->type == own_type && mount->point == directory;
    }
    if (const MountEntry* mount = mount_of(beneath, directory)) place["backing"] = mount->type;
    place["mounts_inside"] = Json::array();
    for (const MountEntry& mount : beneath)
        if (mount.point != directory && is_within(mount.point, directory)) place["mounts_inside"].push_back(mount.point);
    if (::statvfs(directory.c_str(), &room) == 0) {
        set_room(room, place);
        place["block_bytes"] = static_cast<uint64_t>(room.f_bsize);
        place["options"] = options_of(room);
    }
    place["keeps_user_xattrs"] = keeps(directory, "user.holdfast-asks");
    place["keeps_acls"] = keeps(directory, "system.posix_acl_access");
    set_flags(directory, place);
    return place;
}

Json store_facts(const std::string& store, const std::string& directory, const std::vector<MountEntry>& beneath) {
    Json place;
    struct stat status {};
    struct statvfs room {};
    place["exists"] = ::stat(store.c_str(), &status) == 0;
    if (!place["exists"]) return place;
    place["is_private"] = status.st_uid == 0 && (status.st_mode & 077) == 0;
    place["keeps_trusted_xattrs"] = keeps(store, "trusted.holdfast-asks");
    if (::statvfs(store.c_str(), &room) == 0) set_room(room, place);
    const MountEntry* own = mount_of(beneath, real_path(store));
    const MountEntry* tree = mount_of(beneath, directory);
    if (own != nullptr) place["file_system"] = own->type;
    if (own != nullptr && tree != nullptr) place["is_on_disk_of_directory"] = own->device == tree->device;
    if (const auto volume = journal::load_volume(store)) {
        place["is_replica"] = volume->is_replica();
        place["volume"] = journal::to_string(volume->id);
    }
    return place;
}

}  // namespace

void gather_places(const Scenario& scenario, const std::string& host, Json& facts) {
    const auto mounts = read_mount_table();
    if (!mounts) return;
    std::vector<MountEntry> beneath;
    std::copy_if(mounts->begin(), mounts->end(), std::back_inserter(beneath), [](const MountEntry& mount) { return mount.type != own_type; });
    for (const ScenarioVolume& volume : scenario.volumes) {
        const std::string& store = volume.store.of(host);
        facts["directories"][volume.directory] = directory_facts(volume.directory, *mounts, beneath);
        facts["stores"][store] = store_facts(store, volume.directory, beneath);
    }
}

}  // namespace holdfast::ha
