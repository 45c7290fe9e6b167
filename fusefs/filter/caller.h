// Operations run with the caller's identity where that shows in their result: who owns what is made, whose quota and
// whose share of the last blocks is used.
//
// What the caller may do has been decided by the kernel before a request comes (the mount has default_permissions), with the
// caller's real groups and capabilities. Deciding a second time here could only differ: a descriptor that was opened
// before a chmod must go on working, and what the caller may by a capability is not to be seen in a user number. So the
// threads keep the capabilities that override permissions; of the caller they take
//     user, group (of the file system: fsuid, fsgid), umask,
//     CAP_SYS_RESOURCE only for user 0: it would allow the reserved blocks and exceeded quotas.
// Supplementary groups decide permissions only, and the set-gid bit of what is made, which the kernel has already
// taken away where the caller is no member.
//
// Switching costs system calls only when the caller is not the one of the thread's last request.
//
// Thread rule: one object per thread, used by that thread alone: every call here changes the calling thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/result.h"

namespace holdfast::fusefs {

class Caller {
public:
    // Prepares the calling thread: capabilities that survive a change of user, a umask of its own, no throttling by
    // the write-back of what the mount itself made dirty. Errors: permission.
    Status prepare_thread();

    void become(uint32_t uid, uint32_t gid);
    void become_root() { become(0, 0); }
    void use_umask(uint32_t mask);
    // For questions whose answer depends on CAP_SYS_ADMIN; to be given back at once.
    void set_administration(bool wanted);

private:
    uint32_t uid_ = 0, gid_ = 0;
    uint32_t umask_ = ~0u;
    bool has_resource_ = true;
};

// What /proc knows of the process that waits for an answer. For rare questions that a request leaves open.

// Whether it has a capability. Not known (another pid namespace): what UID suggests.
bool has_capability(uint32_t pid, uint32_t uid, int capability);
// Whether the system call that it is in changes an owner. Not known: no.
bool is_in_chown(uint32_t pid);
// Whether it is being killed: every deadly signal becomes a pending SIGKILL. Not known: no.
bool is_being_killed(uint32_t pid);
// Whether it is in GROUP by its supplementary groups.
bool is_in_group(uint32_t pid, uint32_t group);

}  // namespace holdfast::fusefs
