#include "base/mount_trees.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr int open_tries_max = 16;
constexpr int depth_max = 1 << 20;

bool is_same(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

Status set_attributes(int mount_fd, const mount_attr& attributes) {
    if (::syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) return ok();
    return errno_error(errno, "change a mount");
}

}  // namespace

Result<UniqueFd> directory_beneath(int top, const std::string& path) {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    long fd = -1;
    // EAGAIN: a rename elsewhere made the kernel unsure whether the walk stayed beneath.
    for (int tries = 0; tries < open_tries_max; ++tries) {
        fd = ::syscall(SYS_openat2, top, path.c_str(), &how, sizeof how);
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) break;
    }
    if (fd < 0) return errno_error(errno, "open the directory " + quoted(path));
    return UniqueFd(static_cast<int>(fd));
}

Result<bool> lies_beneath(int directory_fd, int top) {
    struct stat goal, here, below{};
    if (::fstat(top, &goal) != 0 || ::fstat(directory_fd, &here) != 0) return errno_error(errno, "look at a directory");
    UniqueFd above;
    for (int depth = 0; depth < depth_max; ++depth) {
        if (is_same(here, goal)) return true;
        // Above the root there is itself.
        if (is_same(here, below)) return false;
        below = here;
        above.reset(::openat(above ? above.get() : directory_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!above || ::fstat(above.get(), &here) != 0) return errno_error(errno, "look at what lies above a directory");
    }
    return Error{ErrorCode::corrupt, "a directory lies too deep"};
}

Result<UniqueFd> clone_mount(int directory_fd) {
    UniqueFd mount(static_cast<int>(::syscall(SYS_open_tree, directory_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)));
    if (!mount) return errno_error(errno, "clone a mount");
    return mount;
}

Status make_private(int mount_fd) {
    mount_attr attributes{};
    attributes.propagation = MS_PRIVATE;
    return set_attributes(mount_fd, attributes);
}

Result<UniqueFd> read_only_view(int directory_fd) {
    const UniqueFd mount = HF_TRY(clone_mount(directory_fd));
    HF_TRY(make_private(mount.get()));
    HF_TRY(narrow_mount(mount.get(), MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC));
    UniqueFd view(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!view) return errno_error(errno, "open a read-only view");
    return view;
}

Status narrow_mount(int mount_fd, unsigned long flags) {
    mount_attr attributes{};
    if (flags & MS_RDONLY) attributes.attr_set |= MOUNT_ATTR_RDONLY;
    if (flags & MS_NOSUID) attributes.attr_set |= MOUNT_ATTR_NOSUID;
    if (flags & MS_NODEV) attributes.attr_set |= MOUNT_ATTR_NODEV;
    if (flags & MS_NOEXEC) attributes.attr_set |= MOUNT_ATTR_NOEXEC;
    return attributes.attr_set ? set_attributes(mount_fd, attributes) : ok();
}

Status put_mount(int mount_fd, int onto_fd) {
    if (::syscall(SYS_move_mount, mount_fd, "", onto_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0) return ok();
    return errno_error(errno, "put a mount in its place");
}

}  // namespace holdfast
