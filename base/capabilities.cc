#include "base/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace holdfast {

namespace {

struct Sets {
    __user_cap_data_struct halves[2];

    Status read() {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        if (::syscall(SYS_capget, &header, halves) != 0) return errno_error(errno, "read the capabilities");
        return ok();
    }
    Status write() {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        if (::syscall(SYS_capset, &header, halves) != 0) return errno_error(errno, "give up capabilities");
        return ok();
    }
};

}  // namespace

Result<Capabilities> effective_capabilities() {
    Sets sets;
    HF_TRY(sets.read());
    return Capabilities{sets.halves[0].effective} | Capabilities{sets.halves[1].effective} << 32;
}

Status keep_capabilities(Capabilities kept) {
    // First what a program that is started could get; without CAP_SETPCAP there is nothing to be done, and nothing is started.
    for (int number = 0; number <= CAP_LAST_CAP; ++number)
        if (!(kept & capability(number)) && ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EPERM && errno != EINVAL)
            return errno_error(errno, "give up a capability");
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    Sets sets;
    HF_TRY(sets.read());
    for (int half = 0; half < 2; ++half) {
        __user_cap_data_struct& set = sets.halves[half];
        set.permitted &= static_cast<uint32_t>(kept >> (32 * half));
        set.effective &= set.permitted;
        set.inheritable = 0;
    }
    return sets.write();
}

Status forgo_new_privileges() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error(errno, "forgo new privileges");
    return ok();
}

}  // namespace holdfast
