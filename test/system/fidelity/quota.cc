// A quota that is used up. Runs only when it is asked for by name, on a file system with quotas on: it limits alice to
// 1 MiB and 20 files (the driver has enabled user quotas) and sees what she gets, and that root is not limited.
#include <sys/quota.h>
#include <sys/syscall.h>

#include <cstdlib>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

bool limit_alice(const UniqueFd& directory) {
    struct dqblk limits {};
    limits.dqb_bhardlimit = limits.dqb_bsoftlimit = 1024;
    limits.dqb_ihardlimit = limits.dqb_isoftlimit = 20;
    limits.dqb_valid = QIF_LIMITS;
    // quotactl_fd: by directory, because the device is not known here.
    const bool limited = ::syscall(443, directory.get(), QCMD(Q_SETQUOTA, USRQUOTA), alice.uid, &limits) == 0;
    say("limited", limited ? "ok" : errno_name(errno));
    return limited;
}

void used_up() {
    make_directory("d", 0777);
    // The limit is set through the bare file system, which the driver leaves beside as ../quota-root when it is needed.
    const UniqueFd root(::open(::getenv("QUOTA_ROOT") != nullptr ? ::getenv("QUOTA_ROOT") : ".", O_RDONLY | O_DIRECTORY));
    if (!limit_alice(root)) return;
    as(alice, [] {
        const UniqueFd fd = open_file("d/big", O_RDWR | O_CREAT);
        const std::string bytes(256 << 10, 'q');
        for (int i = 0; i < 6; ++i) SEE_AS("write", ::pwrite(fd.get(), bytes.data(), bytes.size(), i * (256 << 10)) > 0 ? 1 : -1);
        SEE(fallocate(fd.get(), 0, 0, 4 << 20));
        int made = 0;
        for (int i = 0; i < 30; ++i) made += ::mkdir(printf_string("d/dir%d", i).c_str(), 0755) == 0;
        SEE(mkdir("d/one-more", 0755));
        SEE_FD(open("d", O_TMPFILE | O_RDWR, 0600));
        say("limited in number", made < 30);
    });
    const UniqueFd fd = open_file("d/roots", O_RDWR | O_CREAT);
    SEE(pwrite(fd.get(), std::string(2 << 20, 'r').data(), 2 << 20, 0));
    SEE(chown("d/roots", alice.uid, alice.gid));
}

constexpr Case cases[] = {{"used_up", used_up}};

}  // namespace

extern const Topic quota_topic{"quota", cases};

}  // namespace holdfast::fidelity
