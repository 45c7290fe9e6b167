// What stands between a fresh mount and its first request: journal recovery and the comparison of the directory with
// its image, each in a process of its own. The supervisor holds the FUSE device and the descriptors of orphans; damaged
// bytes must not be able to take those down, and a comparison needs the store's code, which is another program.
//
// Thread rule: the supervisor's one thread. Waits are watched: when the person who mounts gives up, or the supervisor
// is asked to end, the child is killed (both are safe to repeat) and the error is `unavailable`.
#pragma once

#include "base/json_socket.h"
#include "base/result.h"
#include "fusefs/foreground.h"
#include "fusefs/mount_options.h"
#include "fusefs/mount_session.h"
#include "fusefs/programs.h"

namespace holdfast::fusefs {

// Becomes readable when the supervisor is asked to end.
struct PreparationWatch {
    Foreground& foreground;
    int signal_fd = -1;
};

// Recovery, comparison, evidence. REQUIRES: no worker and no store service run, SESSION has a volume.
Status prepare_session(MountSession& session, const MountOptions& options, const Programs& programs, const PreparationWatch& watch);

}  // namespace holdfast::fusefs
