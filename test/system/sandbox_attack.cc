// What somebody would try who has taken a store service over. This file is no part of any installed program: test/system/CMakeLists.txt links
// it with the service's own main into `exploited_store`, in which SIGUSR1 runs it, in the thread that the kernel chooses, with all that the
// process has. Each try is a line of the report: NAME ERRNO, 0 for one that succeeded.
//
// The test says by HOLDFAST_ATTACK_... where there is something to be had. With HOLDFAST_ATTACK_BARE it is tried before the service gives
// anything up, which shows that the tries work.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

int holdfast_store_main(int argc, char** argv);

namespace {

int report = -1;
char line[256], path[4096];

void tell(const char* name, long result) {
    const int error = result < 0 ? errno : 0;
    const int size = snprintf(line, sizeof line, "%s %d\n", name, error);
    (void)!write(report, line, static_cast<size_t>(size));
}

const char* given(const char* name) {
    const char* value = getenv(name);
    return value ? value : "/nowhere";
}

long opened(int fd) {
    if (fd >= 0) close(fd);
    return fd;
}

const char* of_sibling(const char* what) {
    snprintf(path, sizeof path, "/proc/%s/%s", given("HOLDFAST_ATTACK_PID"), what);
    return path;
}

// A handle of another file on the file system of the store, as "TYPE HEX".
struct Handle {
    alignas(file_handle) char bytes[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
    file_handle* get() { return reinterpret_cast<file_handle*>(bytes); }

    explicit Handle(const char* text) {
        unsigned byte = 0;
        int used = 0;
        if (sscanf(text, "%d %n", &get()->handle_type, &used) != 1) return;
        for (text += used; sscanf(text, "%2x", &byte) == 1; text += 2) get()->f_handle[get()->handle_bytes++] = static_cast<unsigned char>(byte);
    }
};

void files() {
    const char* secret = given("HOLDFAST_ATTACK_SECRET");
    const char* directory = given("HOLDFAST_ATTACK_DIRECTORY");
    tell("read-shadow", opened(open("/etc/shadow", O_RDONLY)));
    tell("read-secret", opened(open(secret, O_RDONLY)));
    tell("write-secret", opened(open(secret, O_WRONLY)));
    tell("truncate-secret", truncate(secret, 4));
    tell("mode-of-secret", chmod(secret, 0666));
    tell("owner-of-secret", chown(secret, 1, 1));
    tell("xattr-of-secret", setxattr(secret, "user.attack", "x", 1, 0));
    tell("times-of-secret", utimensat(AT_FDCWD, secret, nullptr, 0));
    tell("look-at-secret", access(secret, F_OK));
    snprintf(path, sizeof path, "%s/made", directory);
    tell("make-file", opened(open(path, O_CREAT | O_WRONLY, 0600)));
    snprintf(path, sizeof path, "%s/made-directory", directory);
    tell("make-directory", mkdir(path, 0700));
    tell("list-directory", opened(open(directory, O_RDONLY | O_DIRECTORY)));
    tell("other-store", opened(open(given("HOLDFAST_ATTACK_OTHER"), O_RDONLY)));
    // By a link that leads out of the store, which may be made.
    snprintf(path, sizeof path, "%s/way-out", given("HOLDFAST_ATTACK_STORE"));
    unlink(path);
    (void)!symlink(secret, path);
    tell("by-link", opened(open(path, O_RDONLY)));
    tell("mode-by-link", chmod(path, 0666));
    unlink(path);
    (void)!link(secret, path);
    tell("by-hard-link", opened(open(path, O_RDONLY)));
    unlink(path);
}

void handles() {
    const int store = open(given("HOLDFAST_ATTACK_STORE"), O_RDONLY | O_DIRECTORY);
    Handle secret(given("HOLDFAST_ATTACK_SECRET_HANDLE")), other(given("HOLDFAST_ATTACK_OTHER_HANDLE")), top(given("HOLDFAST_ATTACK_DIRECTORY_HANDLE"));
    tell("handle-read", opened(open_by_handle_at(store, secret.get(), O_RDONLY)));
    tell("handle-write", opened(open_by_handle_at(store, secret.get(), O_RDWR)));
    tell("handle-other-store", opened(open_by_handle_at(store, other.get(), O_RDONLY)));
    tell("handle-directory", opened(open_by_handle_at(store, top.get(), O_RDONLY | O_DIRECTORY)));
    const int place = open_by_handle_at(store, secret.get(), O_PATH);
    tell("handle-place", place);
    snprintf(path, sizeof path, "/proc/self/fd/%d", place);
    tell("handle-mode", chmod(path, 0666));
    if (place >= 0) close(place);
    if (store >= 0) close(store);
    // With every descriptor that the process has, among them the one that it uses itself.
    int all = -1;
    errno = EACCES;
    for (int fd = 3; fd < 64 && all < 0; ++fd)
        for (Handle* handle : {&secret, &other, &top}) all = all < 0 ? opened(open_by_handle_at(fd, handle->get(), O_RDONLY)) : all;
    tell("handle-by-any-descriptor", all);
}

// The disk itself, by a node that may be made for an image.
void devices() {
    unsigned device = 0;
    sscanf(given("HOLDFAST_ATTACK_DISK"), "%u", &device);
    snprintf(path, sizeof path, "%s/disk", given("HOLDFAST_ATTACK_STORE"));
    unlink(path);
    (void)mknod(path, S_IFBLK | 0600, device);
    tell("read-disk", opened(open(path, O_RDONLY)));
    unlink(path);
    (void)mknod(path, S_IFCHR | 0600, makedev(1, 3));
    tell("open-device", opened(open(path, O_RDONLY)));
    unlink(path);
    tell("fuse-device", opened(open("/dev/fuse", O_RDWR)));
}

void processes() {
    const pid_t sibling = atoi(given("HOLDFAST_ATTACK_PID"));
    const long child = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (child == 0) _exit(0);
    tell("fork", child);
    char name[] = "true";
    char* words[] = {name, nullptr};
    if (child > 0) {
        waitpid(static_cast<pid_t>(child), nullptr, 0);
        const pid_t runner = fork();
        if (runner == 0) _exit(execve("/bin/true", words, environ) == 0 ? 0 : 1);
        int status = 1;
        waitpid(runner, &status, 0);
        tell("run-program", status == 0 ? 0 : -1);
    } else {
        tell("run-program", execve("/bin/true", words, environ));
    }
    tell("signal", kill(sibling, SIGCONT));
    tell("signal-everybody", kill(-1, 0));
    tell("trace", ptrace(PTRACE_SEIZE, sibling, nullptr, nullptr));
    char byte = 0;
    iovec here{&byte, 1}, there{reinterpret_cast<void*>(strtoull(given("HOLDFAST_ATTACK_ADDRESS"), nullptr, 16)), 1};
    tell("read-its-memory", process_vm_readv(sibling, &here, 1, &there, 1, 0));
    tell("pidfd", opened(static_cast<int>(syscall(SYS_pidfd_open, sibling, 0))));
    tell("proc-memory", opened(open(of_sibling("mem"), O_RDONLY)));
    tell("proc-environment", opened(open(of_sibling("environ"), O_RDONLY)));
    tell("proc-root", opened(open(of_sibling("root/etc/shadow"), O_RDONLY)));
    tell("proc-directory", opened(open(of_sibling("cwd"), O_RDONLY | O_DIRECTORY)));
    tell("mode-by-proc-root", chmod(of_sibling("root/etc/hostname"), 0644));
    tell("limit", syscall(SYS_prlimit64, sibling, 7 /* RLIMIT_NOFILE */, nullptr, path));
}

void memory() {
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tell("map-code", page == MAP_FAILED ? -1 : 0);
    page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tell("make-code", mprotect(page, 4096, PROT_READ | PROT_EXEC));
    munmap(page, 4096);
    snprintf(path, sizeof path, "%s/code", given("HOLDFAST_ATTACK_STORE"));
    const int file = open(path, O_CREAT | O_RDWR, 0700);
    (void)!ftruncate(file, 4096);
    page = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    tell("map-file-code", page == MAP_FAILED ? -1 : 0);
    close(file);
    unlink(path);
    tell("own-memory-by-proc", opened(open("/proc/self/mem", O_RDWR)));
    tell("personality", syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */));
    syscall(SYS_personality, 0);
    tell("memory-file", opened(memfd_create("attack", 0)));
    tell("shared-memory", shm_open("/attack", O_CREAT | O_RDWR, 0600));
    shm_unlink("/attack");
}

void network() {
    tell("tcp", opened(socket(AF_INET, SOCK_STREAM, 0)));
    const int local = socket(AF_UNIX, SOCK_STREAM, 0);
    tell("unix-socket", local);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, given("HOLDFAST_ATTACK_SOCKET"), sizeof address.sun_path - 1);
    tell("unix-connect", connect(local, reinterpret_cast<sockaddr*>(&address), sizeof address));
    if (local >= 0) close(local);
    int pair[2];
    tell("socket-pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    tell("netlink", opened(socket(AF_NETLINK, SOCK_RAW, 0)));
    tell("packets", opened(socket(AF_PACKET, SOCK_RAW, 0)));
}

void kernel() {
    bpf_attr map{};
    map.map_type = BPF_MAP_TYPE_ARRAY;
    map.key_size = map.value_size = 4;
    map.max_entries = 1;
    tell("bpf", opened(static_cast<int>(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map))));
    snprintf(path, sizeof path, "%s/image", given("HOLDFAST_ATTACK_STORE"));
    tell("mount", mount("attack", path, "tmpfs", 0, nullptr));
    umount2(path, MNT_DETACH);
    tell("open-tree", opened(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, "/", 1))));
    tell("new-file-system", opened(static_cast<int>(syscall(SYS_fsopen, "tmpfs", 0))));
    tell("change-root", chroot("/"));
    tell("own-namespace", unshare(CLONE_FS));
    tell("host-namespace", setns(open("/proc/1/ns/mnt", O_RDONLY), 0));
    tell("keys", syscall(SYS_keyctl, 0, -3, 0));
    char ring[256] = {};
    tell("io-uring", opened(static_cast<int>(syscall(SYS_io_uring_setup, 1, ring))));
    tell("user-faults", opened(static_cast<int>(syscall(SYS_userfaultfd, 0))));
    perf_event_attr event{};
    event.type = PERF_TYPE_SOFTWARE;
    event.size = sizeof event;
    tell("perf", opened(static_cast<int>(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0))));
    tell("all-files-watched", opened(static_cast<int>(syscall(SYS_fanotify_init, 0, 0))));
    tell("module", syscall(SYS_delete_module, "no_such_module_at_all", O_NONBLOCK) < 0 && errno == ENOENT ? 0 : -1);
    tell("kernel-log", syscall(SYS_syslog, 10, nullptr, 0));
    tell("sysrq", opened(open("/proc/sysrq-trigger", O_WRONLY)));
    tell("settings", opened(open("/proc/sys/kernel/core_pattern", O_WRONLY)));
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tell("clock", clock_settime(CLOCK_REALTIME, &now));
    tell("user", syscall(SYS_setfsuid, 0) == 0 ? 0 : -1);
    tell("terminal", ioctl(2, TIOCSTI, "x") < 0 && errno == EPERM ? -1 : 0);
}

// The next channel to another process after AFTER; -1: there is no more.
int next_channel(int after) {
    for (int fd = after + 1; fd < 1024; ++fd) {
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET) return fd;
    }
    return -1;
}

// What finds directories answers with an error number and nothing else.
bool is_reconnector(int channel) {
    const char nothing[8] = {};
    char answer[4096];
    return send(channel, nothing, sizeof nothing, MSG_NOSIGNAL) > 0 && recv(channel, answer, sizeof answer, 0) == sizeof(int);
}

// With the help of the process that knows where every directory lies: it finds them, and hands out nothing.
void reconnected(int channel) {
    int mount = -1;
    for (int fd = 3; fd < 64 && mount < 0; ++fd) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        char place[64] = {};
        if (readlink(path, place, sizeof place - 1) > 0 && strcmp(place, "/holdfast-handles") == 0) mount = fd;
    }
    for (const char* name : {"DIRECTORY", "SECRET", "OTHER"}) {
        snprintf(path, sizeof path, "HOLDFAST_ATTACK_%s_HANDLE", name);
        Handle handle(given(path));
        char question[4 + MAX_HANDLE_SZ], answer[4096];
        memcpy(question, &handle.get()->handle_type, 4);
        memcpy(question + 4, handle.get()->f_handle, handle.get()->handle_bytes);
        iovec into{answer, sizeof answer};
        alignas(cmsghdr) char control[256];
        msghdr message{};
        message.msg_iov = &into;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        if (send(channel, question, 4 + handle.get()->handle_bytes, MSG_NOSIGNAL) <= 0 || recvmsg(channel, &message, 0) < 0) continue;
        const bool handed_out = message.msg_controllen > 0;
        const bool directory = strcmp(name, "DIRECTORY") == 0;
        snprintf(path, sizeof path, "reconnected:%s", name);
        const int fd = open_by_handle_at(mount, handle.get(), directory ? O_RDONLY | O_DIRECTORY : O_RDONLY);
        if (handed_out) errno = 0;
        tell(path, handed_out ? 0 : opened(fd));
    }
    // More than it has room for, and nothing.
    static char flood[200'000];
    for (const size_t size : {size_t{1}, size_t{4}, size_t{133}, sizeof flood})
        if (send(channel, flood, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) (void)!recv(channel, path, sizeof path, 0);
}

// The processes that can do more are asked for what they must refuse.
void doorkeeper() {
    int door = -1, reconnector = -1;
    for (int channel = next_channel(2); channel >= 0; channel = next_channel(channel)) (is_reconnector(channel) ? reconnector : door) = channel;
    if (reconnector >= 0) reconnected(reconnector);
    if (door < 0) return;
    for (const char* question : {"m/etc", "m/usr/local/bin", "i/etc/attack", "i/root", "u/proc", "l", "x"}) {
        if (send(door, question, strlen(question), MSG_NOSIGNAL) <= 0) continue;
        char answer[4096] = {};
        const ssize_t size = recv(door, answer, sizeof answer, 0);
        snprintf(path, sizeof path, "door:%s", question);
        errno = EPERM;
        tell(path, size > 0 && answer[0] == '+' ? 0 : -1);
    }
}

void attack(int) {
    const int before = errno;
    snprintf(path, sizeof path, "%s/report", given("HOLDFAST_ATTACK_STORE"));
    report = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_APPEND, 0600);
    files();
    handles();
    devices();
    processes();
    memory();
    network();
    kernel();
    doorkeeper();
    (void)!write(report, "end 0\n", 6);
    close(report);
    errno = before;
}

}  // namespace

int main(int argc, char** argv) {
    if (getenv("HOLDFAST_ATTACK_BARE")) {
        attack(0);
        return 0;
    }
    signal(SIGUSR1, attack);
    return holdfast_store_main(argc, argv);
}
