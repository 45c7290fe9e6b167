// Mounts as descriptors: a directory's mount is cloned, changed while nobody sees it, and put somewhere at once, with everything mounted in
// it (open_tree, move_mount, mount_setattr: Linux 5.12).
//
// Thread rule: pure functions. Errors: those of the system calls.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast {

// The directory PATH beneath TOP, as a place (O_PATH): no link is followed and no mount entered on the way. Errors: sys_errno ENOENT, ENOTDIR or
// ELOOP (there is none), EXDEV (something is mounted there or on the way).
Result<UniqueFd> directory_beneath(int top, const std::string& path);

// Whether DIRECTORY_FD is TOP or lies beneath it, as the tree is now. Errors: those of the system; corrupt when it lies too deep to tell.
Result<bool> lies_beneath(int directory_fd, int top);

// A mount of its own of DIRECTORY_FD, without what is mounted in it, with the flags of the mount that it was reached through. Nobody sees it
// yet; it goes with the descriptor unless it was put somewhere.
Result<UniqueFd> clone_mount(int directory_fd);
// What is mounted on or in it from now on is told to no other mount, and nothing elsewhere to it.
Status make_private(int mount_fd);
// DIRECTORY_FD again, open for reading, on a private mount that nobody sees and through which nothing can be changed, executed or opened as a device,
// by whatever descriptor is opened with this one. The mount goes with the last of them.
Result<UniqueFd> read_only_view(int directory_fd);
// Adds those of FLAGS that narrow what may be done: MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC.
Status narrow_mount(int mount_fd, unsigned long flags);
// Puts the mount of which MOUNT_FD is the top, with all that is mounted in it, on the directory ONTO_FD.
Status put_mount(int mount_fd, int onto_fd);

}  // namespace holdfast
