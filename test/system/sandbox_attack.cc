// What somebody would try who has taken a store service over, a capture worker, or the engine. This file is no part of any installed program:
// test/system/CMakeLists.txt links it with the own main of each into `exploited_...`, in which SIGUSR1 runs it, in the thread that the kernel chooses, with all that the
// process has. Each try is a line of the report: NAME ERRNO, 0 for one that succeeded.
//
// With HOLDFAST_ATTACK_COMPARISON it is run by `reconcile` as well, as soon as that is confined, and by nobody else; with HOLDFAST_ATTACK_CALLS_ONLY
// nothing is tried by file names and handles alone, which a capture worker may use.
//
// The test says by HOLDFAST_ATTACK_... where there is something to be had. With HOLDFAST_ATTACK_BARE it is tried before the service gives
// anything up, which shows that the tries work.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

int HOLDFAST_ATTACKED_MAIN(int argc, char** argv);

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

// From whatever directory the process has open: what lies beside it, and a change of what may be read there.
void descriptors() {
    int above = -1, written = -1, changed = -1;
    const char* directory = strrchr(given("HOLDFAST_ATTACK_DIRECTORY"), '/');
    errno = EACCES;
    for (int fd = 3; fd < 64; ++fd) {
        // Its own store is its to spoil.
        char way[64], place[4096] = {};
        snprintf(way, sizeof way, "/proc/self/fd/%d", fd);
        if (readlink(way, place, sizeof place - 1) <= 0 || strncmp(place, given("HOLDFAST_ATTACK_STORE"), strlen(given("HOLDFAST_ATTACK_STORE"))) == 0) continue;
        if (strncmp(place, "/holdfast-handles", 17) == 0) continue;
        for (const char* up : {"..", "../..", "../../.."}) {
            snprintf(path, sizeof path, "%s%s/secret", up, directory ? directory : "");
            if (above < 0) above = opened(openat(fd, path, O_RDONLY));
        }
        if (written < 0) written = opened(openat(fd, "of-the-application", O_WRONLY));
        if (changed < 0) changed = fchmodat(fd, "of-the-application", 0666, 0);
    }
    tell("above-any-descriptor", above);
    tell("write-by-any-descriptor", written);
    tell("mode-by-any-descriptor", changed);
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
    tell("datagram-pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    const int door = socket(AF_INET, SOCK_STREAM, 0);
    tell("listen", listen(door, 1));
    sockaddr_in here{};
    here.sin_family = AF_INET;
    const int other_door = socket(AF_INET, SOCK_STREAM, 0);
    tell("bind", bind(other_door, reinterpret_cast<sockaddr*>(&here), sizeof here));
    for (const int fd : {door, other_door})
        if (fd >= 0) close(fd);
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
    // Of the rings that there are: more operations, other files.
    int ring_fd = -1;
    errno = EPERM;
    char probe[4096] = {};
    for (int fd = 3; fd < 64 && ring_fd < 0; ++fd) ring_fd = static_cast<int>(syscall(SYS_io_uring_register, fd, 8 /* IORING_REGISTER_PROBE */, probe, 1));
    tell("rings", ring_fd);
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

// Room for an answer and for descriptors beside it.
struct Received {
    Received() {
        message.msg_iov = &into;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
    }
    char bytes[4096] = {};
    alignas(cmsghdr) char control[1024];
    iovec into{bytes, sizeof bytes};
    msghdr message{};
};

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
        char question[4 + MAX_HANDLE_SZ];
        Received answer;
        memcpy(question, &handle.get()->handle_type, 4);
        memcpy(question + 4, handle.get()->f_handle, handle.get()->handle_bytes);
        if (send(channel, question, 4 + handle.get()->handle_bytes, MSG_NOSIGNAL) <= 0 || recvmsg(channel, &answer.message, 0) < 0) continue;
        const bool handed_out = answer.message.msg_controllen > 0;
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

// A question on the connection to the capture worker (journal/healing.h): whether it did anything for who asked, or handed anything out.
long healed(int worker, uint8_t verb, const void* body, uint32_t size) {
    char question[8 + sizeof(file_handle) + MAX_HANDLE_SZ] = {};
    Received answer;
    memcpy(question, &size, sizeof size);
    question[4] = static_cast<char>(verb);
    memcpy(question + 8, body, size);
    errno = EPIPE;
    if (send(worker, question, 8 + size, MSG_NOSIGNAL) <= 0 || recvmsg(worker, &answer.message, 0) < 8) return -1;
    int32_t error = 0;
    memcpy(&error, answer.bytes + 8, sizeof error);
    errno = EPERM;
    const bool is_refused = answer.bytes[4] == 65 || (verb == 8 && error != 0);
    return is_refused && answer.message.msg_controllen == 0 ? -1 : 0;
}

// Outside of a gap the worker of a mounted directory tells that there is none, and nothing else.
void healing(int door) {
    Received answer;
    if (send(door, "h", 1, MSG_NOSIGNAL) <= 0 || recvmsg(door, &answer.message, 0) <= 0) return;
    const cmsghdr* head = CMSG_FIRSTHDR(&answer.message);
    if (!head || head->cmsg_type != SCM_RIGHTS) return;
    int worker = -1;
    memcpy(&worker, CMSG_DATA(head), sizeof worker);
    const uint32_t first[] = {0, ~0u};
    tell("heal:take", healed(worker, 2, "", 0));
    tell("heal:end-gap", healed(worker, 6, "", 0));
    tell("heal:places", healed(worker, 7, first, sizeof first));
    for (const char* name : {"SECRET", "OTHER"}) {
        snprintf(path, sizeof path, "HOLDFAST_ATTACK_%s_HANDLE", name);
        Handle handle(given(path));
        char bytes[4 + MAX_HANDLE_SZ];
        memcpy(bytes, &handle.get()->handle_type, 4);
        memcpy(bytes + 4, handle.get()->f_handle, handle.get()->handle_bytes);
        snprintf(path, sizeof path, "heal:file-%s", name);
        tell(path, healed(worker, 8, bytes, 4 + handle.get()->handle_bytes));
    }
    close(worker);
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
    for (const char* name : {"DIRECTORY", "SECRET"}) {
        snprintf(path, sizeof path, "HOLDFAST_ATTACK_%s_HANDLE", name);
        Handle handle(given(path));
        char question[5 + MAX_HANDLE_SZ] = {'o'}, answer[4096] = {};
        memcpy(question + 1, &handle.get()->handle_type, 4);
        memcpy(question + 5, handle.get()->f_handle, handle.get()->handle_bytes);
        if (send(door, question, 5 + handle.get()->handle_bytes, MSG_NOSIGNAL) <= 0) continue;
        const bool is_shown = recv(door, answer, sizeof answer, 0) > 0 && answer[0] == '+';
        errno = EPERM;
        snprintf(path, sizeof path, "viewed:%s", name);
        tell(path, is_shown ? 0 : -1);
    }
    healing(door);
}

// The engine's launcher is asked for what it must refuse.
void launcher() {
    const int channel = next_channel(2);
    const struct { const char* name; const char* text; } questions[] = {
        {"run-program", R"({"ask":"run","task":{"kind":"hook","store":"","number":0,"volume":"00000000-0000-0000-0000-000000000000","command":["/bin/true"],"input":""}})"},
        {"run-store", R"({"ask":"run","task":{"kind":"run-store","store":"/etc","number":0,"volume":"00000000-0000-0000-0000-000000000000","command":[],"input":""}})"},
        {"make-store", R"({"ask":"run","task":{"kind":"make-store","store":"/etc/attack","number":1048576,"volume":"00000000-0000-0000-0000-000000000000","command":[],"input":""}})"},
        {"other-kind", R"({"ask":"run","task":{"kind":"shell","store":"","number":0,"volume":"","command":["/bin/true"],"input":""}})"},
        {"description", R"({"ask":"description","store":"/etc"})"},
        {"main-process", R"({"ask":"tell","state":"MAINPID=1"})"},
        {"two-sentences", R"({"ask":"tell","state":"READY=1\nMAINPID=1"})"},
        {"bus", R"({"ask":"connect","path":"/run/dbus/system_bus_socket"})"},
        {"malformed", R"({"ask":["run"]})"},
        {"nothing", "\0"},
    };
    for (const auto& question : questions) {
        // As a real question has it: the end for what is told of a program, and its descriptor.
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) continue;
        iovec bytes{const_cast<char*>(question.text), strlen(question.text) + (*question.text == 0)};
        alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(part), ends, 2 * sizeof(int));
        char answer[8192] = {};
        const bool answered = sendmsg(channel, &message, MSG_NOSIGNAL) > 0 && recv(channel, answer, sizeof answer - 1, 0) > 0;
        for (const int end : ends) close(end);
        snprintf(path, sizeof path, "launcher:%s", question.name);
        errno = EPERM;
        if (answered) tell(path, strstr(answer, "\"error\"") != nullptr ? -1 : 0);
    }
    snprintf(path, sizeof path, R"({"ask":"connect","path":"%s"})", given("HOLDFAST_ATTACK_SOCKET"));
    char answer[8192] = {};
    if (send(channel, path, strlen(path), MSG_NOSIGNAL) <= 0 || recv(channel, answer, sizeof answer - 1, 0) <= 0) return;
    errno = EPERM;
    tell("launcher:other-socket", strstr(answer, "\"error\"") != nullptr ? -1 : 0);
}

void attack(int) {
    const int before = errno;
    snprintf(path, sizeof path, "%s/report", given("HOLDFAST_ATTACK_STORE"));
    report = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_APPEND, 0600);
    const bool all = !getenv("HOLDFAST_ATTACK_CALLS_ONLY");
    if (all) files(), handles(), descriptors(), devices();
    processes();
    memory();
    network();
    kernel();
    if (getenv("HOLDFAST_ATTACK_ENGINE")) launcher();
    else if (all) doorkeeper();
    (void)!write(report, "end 0\n", 6);
    close(report);
    errno = before;
}

// Looks again until nothing more is given up.
void attack_when_confined(int) {
    if (prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER) return attack(0);
    const itimerval soon{{}, {0, 500}};
    setitimer(ITIMER_REAL, &soon, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
    if (getenv("HOLDFAST_ATTACK_BARE")) {
        attack(0);
        return 0;
    }
    signal(SIGUSR1, attack);
    if (getenv("HOLDFAST_ATTACK_COMPARISON") && argc > 1 && strcmp(argv[1], "reconcile") == 0) {
        signal(SIGALRM, attack_when_confined);
        attack_when_confined(0);
    }
    return HOLDFAST_ATTACKED_MAIN(argc, argv);
}
