// The directories that are left out, as mounts of their own (docs/decisions/0015): each is bound from the backing tree over its own place on the mount that
// covers the tree. What is done in it never reaches the filter, and the kernel keeps the border: rename and link across it end with EXDEV, the directory
// itself can be neither removed nor renamed.
//
// Thread rule: pure functions over the system. bind_left_out() walks the mount, so it waits for whoever serves it: never from the supervisor itself, which
// starts a worker again that dies meanwhile (fusefs/binder.h).
#pragma once

#include "base/result.h"
#include "journal/left_out.h"

namespace holdfast::fusefs {

// Makes the directories that are not there, empty, each with owner and mode of the one around it: what is left out must not be recorded only
// because somebody cleared it away. What cannot be made, or is something else than a directory, is told in the log, and is recorded like everything else.
void make_missing(int backing_fd, const journal::LeftOut& left_out);

// Binds those that are not bound yet. What is no directory by now is told in the log and passed over. FLAGS: of the mount, as for mount(2).
// Errors: those of the system calls.
Status bind_left_out(int mount_fd, int backing_fd, const journal::LeftOut& left_out, unsigned long flags);

}  // namespace holdfast::fusefs
