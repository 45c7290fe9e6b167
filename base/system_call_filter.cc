#include "base/system_call_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>

namespace holdfast {

namespace {

#if defined(__x86_64__)
constexpr uint32_t native_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t native_architecture = AUDIT_ARCH_AARCH64;
#else
#error "system_call_filter.cc knows the system calls of x86-64 and arm64"
#endif

// The first number that this list has not looked at; they are the same on all architectures. Linux 5.17 has those before it.
constexpr uint32_t first_unknown_call = 451;

// Whoever takes over the process has its memory and its descriptors; these would give it more.
constexpr uint32_t refused[] = {
    // other programs and processes
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_process_mrelease, SYS_kcmp, SYS_pidfd_open,
    SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_tkill, SYS_setpriority, SYS_ioprio_set, SYS_sched_setscheduler,
    SYS_sched_setparam, SYS_sched_setattr, SYS_migrate_pages, SYS_move_pages, SYS_setpgid, SYS_setsid,
    // another view of the system, and what is mounted
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsconfig, SYS_fsmount,
    SYS_fspick, SYS_mount_setattr, SYS_fanotify_init, SYS_fanotify_mark, SYS_quotactl, SYS_quotactl_fd, SYS_swapon, SYS_swapoff, SYS_acct,
    // sockets to elsewhere; those that listen are there already
    SYS_socket, SYS_socketpair, SYS_connect, SYS_bind,
    // memory and queues that other processes share by name or key
    SYS_shmget, SYS_shmat, SYS_shmctl, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_semget, SYS_semop, SYS_semtimedop, SYS_semctl, SYS_mq_open,
    SYS_mq_unlink, SYS_memfd_create, SYS_memfd_secret,
    // the kernel itself: code in it, keys, what happens behind the filter's back
    SYS_bpf, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_syslog, SYS_perf_event_open, SYS_userfaultfd,
    SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_io_setup, SYS_io_submit, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_lookup_dcookie, SYS_nfsservctl,
    SYS_personality, SYS_vhangup,
    // clocks and names of the host
    SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname, SYS_setdomainname,
    // becoming somebody else
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capset,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#if defined(__x86_64__)
    SYS_fork, SYS_vfork, SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl, SYS_create_module, SYS_get_kernel_syms, SYS_query_module,
#endif
};

// What is asked of open files: clone, flags (a journal without copy on write), holes. Others reach past names and modes: a tree of btrfs can be
// read, XFS changes attributes by handle, a terminal takes what is pushed into it for typed.
constexpr uint32_t allowed_ioctls[] = {FICLONE, FICLONERANGE, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FIEMAP, FIONREAD, FIONBIO, FIOCLEX, 0x5401 /* TCGETS */};

class Assembly {
public:
    void load(size_t offset) { program_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset))); }
    void load_number() { load(offsetof(seccomp_data, nr)); }
    // The lower half: what is looked at here is an int for the kernel.
    void load_argument(size_t index) { load(offsetof(seccomp_data, args) + index * sizeof(uint64_t)); }
    void answer(uint32_t what) { program_.push_back(BPF_STMT(BPF_RET | BPF_K, what)); }
    void mask(uint32_t bits) { program_.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits)); }
    void refuse(int error) { answer(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)); }
    void allow() { answer(SECCOMP_RET_ALLOW); }
    // Runs the next COUNT instructions only if the loaded word ...
    void if_equal(uint32_t value, uint8_t count) { jump(BPF_JEQ, value, 0, count); }
    void if_other_than(uint32_t value, uint8_t count) { jump(BPF_JEQ, value, count, 0); }
    void if_any_bit(uint32_t bits, uint8_t count) { jump(BPF_JSET, bits, 0, count); }
    void if_no_bit(uint32_t bits, uint8_t count) { jump(BPF_JSET, bits, count, 0); }
    void if_at_least(uint32_t value, uint8_t count) { jump(BPF_JGE, value, 0, count); }

    std::vector<sock_filter> take() { return std::move(program_); }

private:
    void jump(uint16_t test, uint32_t value, uint8_t if_true, uint8_t if_false) {
        program_.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | test | BPF_K), value, if_true, if_false));
    }
    std::vector<sock_filter> program_;
};

// CALL is refused when argument INDEX has one of BITS.
void refuse_bits(Assembly& filter, uint32_t call, size_t index, uint32_t bits, int error) {
    filter.if_equal(call, 4);
    filter.load_argument(index);
    filter.if_any_bit(bits, 1);
    filter.refuse(error);
    filter.allow();
}

// CALL is refused when argument INDEX is VALUE.
void refuse_value(Assembly& filter, uint32_t call, size_t index, uint32_t value) {
    filter.if_equal(call, 4);
    filter.load_argument(index);
    filter.if_equal(value, 1);
    filter.refuse(EPERM);
    filter.allow();
}

// CALL is refused unless argument INDEX is VALUE.
void only_with(Assembly& filter, uint32_t call, size_t index, uint32_t value) {
    filter.if_equal(call, 4);
    filter.load_argument(index);
    filter.if_other_than(value, 1);
    filter.refuse(EPERM);
    filter.allow();
}

// Handles are opened with one descriptor, which stays what it is. EACCES: as Landlock answers, which does not look at what is opened as a place only.
void guard_handles(Assembly& filter, uint32_t handle_fd) {
    filter.if_equal(SYS_open_by_handle_at, 7);
    filter.load_argument(0);
    filter.if_other_than(handle_fd, 1);
    filter.refuse(EACCES);
    filter.load_argument(2);
    filter.if_any_bit(O_PATH, 1);
    filter.refuse(EACCES);
    filter.allow();
    refuse_value(filter, SYS_close, 0, handle_fd);
    refuse_value(filter, SYS_dup3, 1, handle_fd);
#ifdef SYS_dup2
    refuse_value(filter, SYS_dup2, 1, handle_fd);
#endif
    filter.if_equal(SYS_close_range, 1);
    filter.refuse(EPERM);
}

constexpr uint32_t socket_kind = 0xf;  // the rest of the argument are flags

// Sockets of the kinds that other hosts are reached by, and pairs in which no datagram can be sent to somebody else by his path.
void only_sockets_to_hosts(Assembly& filter) {
    filter.if_equal(SYS_socket, 10);
    filter.load_argument(1);
    filter.mask(socket_kind);
    filter.if_at_least(SOCK_DGRAM + 1, 1);
    filter.refuse(EPERM);
    filter.load_argument(0);
    filter.if_equal(AF_INET, 1);
    filter.allow();
    filter.if_other_than(AF_INET6, 1);
    filter.refuse(EPERM);
    filter.allow();
    filter.if_equal(SYS_socketpair, 8);
    filter.load_argument(0);
    filter.if_other_than(AF_UNIX, 1);
    filter.refuse(EPERM);
    filter.load_argument(1);
    filter.mask(socket_kind);
    filter.if_equal(SOCK_DGRAM, 1);
    filter.refuse(EPERM);
    filter.allow();
}

void refuse_foreign_calls(Assembly& filter) {
    filter.load(offsetof(seccomp_data, arch));
    filter.if_other_than(native_architecture, 1);
    filter.refuse(EPERM);
    filter.load_number();
    // What is newer than this list, and on x86-64 the second numbering of the same calls.
    filter.if_at_least(first_unknown_call, 1);
    filter.refuse(ENOSYS);
}

}  // namespace

std::vector<sock_filter> system_call_filter(pid_t own, const std::vector<uint32_t>& allowed, int handle_fd, const CallNeeds& needs) {
    Assembly filter;
    refuse_foreign_calls(filter);
    std::vector<uint32_t> all(std::begin(refused), std::end(refused));
    all.insert(all.end(), needs.refused.begin(), needs.refused.end());
    for (const uint32_t call : all) {
        const bool is_looked_at_below = (needs.own_umasks && call == SYS_unshare) || (needs.reaches_hosts && (call == SYS_socket || call == SYS_socketpair));
        if (is_looked_at_below || std::find(allowed.begin(), allowed.end(), call) != allowed.end()) continue;
        filter.if_equal(call, 1);
        filter.refuse(EPERM);
    }
    // Its flags lie in memory, where a filter cannot look. The C library then starts its threads by clone.
    filter.if_equal(SYS_clone3, 1);
    filter.refuse(ENOSYS);
    filter.if_equal(SYS_clone, 4);
    filter.load_argument(0);
    filter.if_no_bit(CLONE_THREAD, 1);
    filter.refuse(EPERM);
    filter.allow();

    refuse_bits(filter, SYS_mmap, 2, PROT_EXEC, EPERM);
    refuse_bits(filter, SYS_mprotect, 2, PROT_EXEC, EPERM);
    refuse_bits(filter, SYS_pkey_mprotect, 2, PROT_EXEC, EPERM);
    if (!needs.any_handle) guard_handles(filter, static_cast<uint32_t>(handle_fd));
    if (needs.own_umasks) only_with(filter, SYS_unshare, 0, CLONE_FS);

    // Itself and nobody else; 0 would be its whole group.
    only_with(filter, SYS_kill, 0, static_cast<uint32_t>(own));
    only_with(filter, SYS_tgkill, 0, static_cast<uint32_t>(own));
    only_with(filter, SYS_prlimit64, 0, 0);

    if (needs.reaches_hosts) only_sockets_to_hosts(filter);

    std::vector<uint32_t> ioctls(std::begin(allowed_ioctls), std::end(allowed_ioctls));
    ioctls.insert(ioctls.end(), needs.ioctls.begin(), needs.ioctls.end());
    filter.if_equal(SYS_ioctl, static_cast<uint8_t>(2 * ioctls.size() + 2));
    filter.load_argument(1);
    for (const uint32_t request : ioctls) {
        filter.if_equal(request, 1);
        filter.allow();
    }
    filter.refuse(EPERM);
    filter.allow();
    return filter.take();
}

std::vector<sock_filter> only_system_calls(const std::vector<uint32_t>& calls) {
    Assembly filter;
    refuse_foreign_calls(filter);
    for (const uint32_t call : calls) {
        filter.if_equal(call, 1);
        filter.allow();
    }
    filter.refuse(EPERM);
    return filter.take();
}

Status filter_system_calls(const std::vector<sock_filter>& program) {
    const sock_fprog given{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &given) == 0) return ok();
    Error error = errno_error(errno, "filter system calls");
    if (error.sys_errno == EINVAL || error.sys_errno == ENOSYS) error.code = ErrorCode::unsupported;
    return error;
}

}  // namespace holdfast
