#include "fusefs/worker_confinement.h"

#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/system_call_filter.h"
#include "fusefs/filter/node_id.h"

namespace holdfast::fusefs {
namespace {

constexpr int kept[] = {
    // What a caller may do was decided by the kernel; here it must not fail.
    CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_CHOWN, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_LINUX_IMMUTABLE, CAP_MAC_ADMIN,
    CAP_SYS_ADMIN,     // trusted xattrs, generations of XFS
    CAP_SYS_RESOURCE,  // reserved blocks and quotas of root; not to be throttled by its own write-back
    CAP_SETUID, CAP_SETGID, CAP_SETPCAP,  // a caller's identity for one operation
    CAP_SYS_PTRACE,    // in which system call a caller is
    CAP_IPC_LOCK,      // buffers that stay in memory
};

}  // namespace

Capabilities worker_capabilities() {
    Capabilities all = 0;
    for (const int number : kept) all |= capability(number);
    return all;
}

Result<std::string> confine_worker() {
    HF_TRY(forgo_new_privileges());
    HF_TRY(keep_capabilities(worker_capabilities()));
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error(errno, "forbid dumps");
    CallNeeds needs;
    needs.ioctls = {FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, FS_IOC_GETVERSION, xfs_bulkstat_request};
    needs.any_handle = needs.own_umasks = true;
    Status filtered = filter_system_calls(system_call_filter(::getpid(), {SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capset}, -1, needs));
    if (filtered) return std::string("a filter of system calls");
    if (filtered.error().code != ErrorCode::unsupported) return std::move(filtered).error();
    return std::string("nothing; this kernel has no filters of system calls");
}

}  // namespace holdfast::fusefs
