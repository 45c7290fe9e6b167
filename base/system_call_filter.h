// A list of system calls that a process gives up for the rest of its life (seccomp), with those that it started later.
//
// It is a list of what is refused and not of what is allowed: a library that learns a new harmless call in an update does not break a
// service, and what is refused can be argued for line by line (docs/confinement.md). A call that is newer than the list fails like on a kernel
// that does not have it (ENOSYS), so the list does not age into holes. Refused is EPERM; nothing is killed for asking.
//
// Thread rule: before the second thread starts, which inherits it.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace holdfast {

// What a process needs beyond that, and what it does without.
struct CallNeeds {
    std::vector<uint32_t> refused;  // these as well
    std::vector<uint32_t> ioctls;   // these as well
    bool any_handle = false;        // file handles with whatever descriptor it has, and as places
    bool own_umasks = false;        // of its threads: unshare(CLONE_FS)
    // It makes sockets to other hosts (IPv4 and IPv6, streams and datagrams), and pairs of its own that lead to nobody else. REQUIRES: connect is among the allowed.
    bool reaches_hosts = false;
};

// The program for a process that starts nothing, mounts nothing, connects nowhere, signals and traces nobody but OWN, and gets no memory that it can
// execute, but for the calls in ALLOWED. File handles are opened with HANDLE_FD and no other descriptor, and it cannot be closed or replaced. It may go on using the descriptors that it has: accept on a socket that listens, map files to read and write.
std::vector<sock_filter> system_call_filter(pid_t own, const std::vector<uint32_t>& allowed = {}, int handle_fd = -1, const CallNeeds& needs = {});

// The program for a process that needs CALLS and no other: everything else is EPERM.
std::vector<sock_filter> only_system_calls(const std::vector<uint32_t>& calls);

// Errors: unsupported (a kernel without seccomp filters). REQUIRES: forgo_new_privileges().
Status filter_system_calls(const std::vector<sock_filter>& program);

}  // namespace holdfast
