#include "base/jail.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast {

namespace {

constexpr unsigned long inert = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr const char* root_options = "mode=0755,size=64k,nr_inodes=256";

// Linux 5.12; the C library of the build may not know it.
struct MountAttributes {
    uint64_t set, clear, propagation, user_namespace;
};
constexpr uint64_t attribute_read_only = 1, attribute_no_suid = 2, attribute_no_device = 4, attribute_no_execution = 8;

Result<UniqueFd> copy_of(const JailPlace& place) {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (place.with_mounts ? AT_RECURSIVE : 0);
    UniqueFd tree(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, place.path.c_str(), flags)));
    if (!tree) return errno_error(errno, "copy the mount of " + quoted(place.path));
    return tree;
}

// Before Linux 5.12 one mount at a time: that of the place itself. What it had already must be said again.
Status make_one_inert(const JailPlace& place, const std::string& path) {
    struct statvfs now;
    if (::statvfs(path.c_str(), &now) != 0) return errno_error(errno, "look at " + quoted(path));
    unsigned long flags = MS_REMOUNT | MS_BIND | inert;
    if (place.read_only || (now.f_flag & ST_RDONLY)) flags |= MS_RDONLY;
    if (now.f_flag & ST_NOATIME) flags |= MS_NOATIME;
    if (now.f_flag & ST_NODIRATIME) flags |= MS_NODIRATIME;
    if (now.f_flag & ST_RELATIME) flags |= MS_RELATIME;
    if (::mount(nullptr, path.c_str(), nullptr, flags, nullptr) != 0) return errno_error(errno, "make the mount of " + quoted(path) + " inert");
    return ok();
}

Status make_inert(const JailPlace& place, const std::string& path) {
    const MountAttributes attributes{attribute_no_suid | attribute_no_device | attribute_no_execution | (place.read_only ? attribute_read_only : 0), 0, 0, 0};
    if (::syscall(SYS_mount_setattr, AT_FDCWD, path.c_str(), AT_RECURSIVE, &attributes, sizeof attributes) == 0) return ok();
    if (errno != ENOSYS) return errno_error(errno, "make the mounts of " + quoted(path) + " inert");
    return make_one_inert(place, path);
}

Status make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) return errno_error(errno, "make " + quoted(path) + " in a new root");
        if (slash == path.npos) return ok();
    }
}

Status put(const UniqueFd& tree, const JailPlace& place) {
    const std::string path = "." + place.at;
    HF_TRY(make_directories(path));
    if (::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return errno_error(errno, "put " + quoted(place.path) + " into a new root");
    return make_inert(place, path);
}

Status enter(const std::vector<JailPlace>& places) {
    // Nothing of what follows is seen outside.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno_error(errno, "keep mounts apart");
    std::vector<UniqueFd> trees;
    for (const JailPlace& place : places) trees.push_back(HF_TRY(copy_of(place)));
    // Over any directory that exists: what it covers goes with the old root.
    const char* root = places.front().path.c_str();
    if (::mount("holdfast", root, "tmpfs", inert, root_options) != 0) return errno_error(errno, "mount a new root");
    if (::chdir(root) != 0) return errno_error(errno, "enter the new root");
    for (size_t i = 0; i < places.size(); ++i) HF_TRY(put(trees[i], places[i]));
    // The old root comes to lie over the new one, and is taken off.
    if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno_error(errno, "change the root");
    if (::umount2(".", MNT_DETACH) != 0) return errno_error(errno, "leave the old root");
    if (::chdir("/") != 0) return errno_error(errno, "enter the new root");
    if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | inert, nullptr) != 0) return errno_error(errno, "make the new root read-only");
    return ok();
}

}  // namespace

Status enter_jail(const std::vector<JailPlace>& places, bool* must_end) {
    const UniqueFd before(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    if (!before) return errno_error(errno, "open the mount namespace");
    if (::unshare(CLONE_NEWNS) != 0) return errno_error(errno, "make a mount namespace");
    Status entered = enter(places);
    if (!entered) *must_end = ::setns(before.get(), CLONE_NEWNS) != 0;
    return entered;
}

}  // namespace holdfast
