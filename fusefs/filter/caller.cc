#include "fusefs/filter/caller.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace holdfast::fusefs {
namespace {

// The C library would change all threads of the process at once; these change the calling one.
void set_fsuid(uint32_t uid) {
    ::syscall(SYS_setfsuid, uid);
}
void set_fsgid(uint32_t gid) {
    ::syscall(SYS_setfsgid, gid);
}

struct Capabilities {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    bool get() { return ::syscall(SYS_capget, &header, data) == 0; }
    bool set() { return ::syscall(SYS_capset, &header, data) == 0; }
};

// Of the calling thread; one that the process does not have at all is not missed.
void set_capability(int capability, bool wanted) {
    Capabilities capabilities;
    HF_CHECK(capabilities.get());
    __user_cap_data_struct& data = capabilities.data[capability / 32];
    const uint32_t bit = 1u << (capability % 32);
    data.effective = wanted ? data.effective | (data.permitted & bit) : data.effective & ~bit;
    HF_CHECK(capabilities.set());
}

}  // namespace

Status Caller::prepare_thread() {
    // The umask belongs to what threads share with each other; a thread that sets one per request needs its own.
    if (::unshare(CLONE_FS) != 0) return errno_error(errno, "giving a thread its own umask");
    // Without this a change of fsuid would take away the capabilities that override permissions.
    if (::prctl(PR_SET_SECUREBITS, ::prctl(PR_GET_SECUREBITS) | SECBIT_NO_SETUID_FIXUP) != 0)
        return errno_error(errno, "keeping capabilities across a change of user");
    if (::syscall(SYS_setgroups, 0, nullptr) != 0) return errno_error(errno, "dropping supplementary groups");
    // Writes of this thread are somebody's writeback: waiting for dirty pages of the mount itself would never end.
    // Refused where CAP_SYS_RESOURCE is missing; then only the usual throttling remains.
    (void)::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    use_umask(022);
    return ok();
}

void Caller::become(uint32_t uid, uint32_t gid) {
    if (gid != gid_) set_fsgid(gid_ = gid);
    if (uid == uid_) return;
    set_fsuid(uid_ = uid);
    if (has_resource_ == (uid == 0)) return;
    set_capability(CAP_SYS_RESOURCE, uid == 0);
    has_resource_ = uid == 0;
}

void Caller::set_administration(bool wanted) {
    set_capability(CAP_SYS_ADMIN, wanted);
}

void Caller::use_umask(uint32_t mask) {
    mask &= 0777;
    if (mask == umask_) return;
    ::umask(mask);
    umask_ = mask;
}

}  // namespace holdfast::fusefs
