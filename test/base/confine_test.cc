// Everything here is given up for good, so each case does it in a process of its own, and its exit status is the number of the first line that
// found something else than it should.
#include "base/confine.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file_handle.h"
#include "base/landlock.h"
#include "base/system_call_filter.h"
#include "test/support/scratch.h"

namespace holdfast {
namespace {

// Exit statuses have a byte.
#define EXPECT(condition) \
    if (!(condition)) ::_exit(1 + __LINE__ % 250)

// WHEN_STOPPED runs here when BODY stops its process, which goes on then.
template <typename Body, typename WhenStopped = void (*)()>
void in_process(Body body, WhenStopped when_stopped = [] {}) {
    const pid_t child = ::fork();
    if (child == 0) {
        body();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
    if (WIFSTOPPED(status)) {
        when_stopped();
        REQUIRE(::kill(child, SIGCONT) == 0);
        REQUIRE(::waitpid(child, &status, 0) == child);
    }
    INFO("a line whose number is " << (WIFEXITED(status) ? WEXITSTATUS(status) - 1 : -1) << " modulo 250; signal " << (WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    CHECK(status == 0);
}

bool is_refused(long result, int error = EPERM) {
    return result < 0 && errno == error;
}

bool is_root() {
    if (::geteuid() == 0) return true;
    WARN("skipped: needs root");
    return false;
}

int opened(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd >= 0) ::close(fd);
    return fd;
}

}  // namespace

TEST_CASE("system call filter: what gives a process more than it has is refused") {
    in_process([] {
        EXPECT(forgo_new_privileges());
        EXPECT(filter_system_calls(system_call_filter(::getpid())));
        char name[] = "true";
        char* words[] = {name, nullptr};
        EXPECT(is_refused(::execve("/bin/true", words, environ)));
        EXPECT(is_refused(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)));
        EXPECT(is_refused(::syscall(SYS_clone3, nullptr, 0), ENOSYS));
        EXPECT(is_refused(::socket(AF_UNIX, SOCK_STREAM, 0)));
        EXPECT(is_refused(::kill(::getppid(), 0)));
        EXPECT(is_refused(::kill(0, 0)));
        EXPECT(is_refused(::mount("none", "/nowhere", "tmpfs", 0, nullptr)));
        EXPECT(is_refused(::syscall(SYS_io_uring_setup, 1, nullptr)));
        EXPECT(is_refused(::syscall(SYS_bpf, 0, nullptr, 0)));
        EXPECT(is_refused(::syscall(100'000), ENOSYS));
        EXPECT(::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EPERM);
        void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT(page != MAP_FAILED);
        EXPECT(is_refused(::mprotect(page, 4096, PROT_READ | PROT_EXEC)));
        EXPECT(::mprotect(page, 4096, PROT_READ) == 0);
    });
}

TEST_CASE("system call filter: who reaches hosts makes sockets to them, and none to processes of this host") {
    in_process([] {
        EXPECT(forgo_new_privileges());
        EXPECT(filter_system_calls(system_call_filter(::getpid(), {SYS_connect}, -1, {.refused = {SYS_listen}, .ioctls = {FIOASYNC}, .reaches_hosts = true})));
        for (const int family : {AF_INET, AF_INET6})
            for (const int kind : {int{SOCK_STREAM}, SOCK_DGRAM | SOCK_CLOEXEC}) EXPECT(!is_refused(::socket(family, kind, 0)));
        EXPECT(is_refused(::socket(AF_INET, SOCK_RAW, IPPROTO_TCP)));
        EXPECT(is_refused(::socket(AF_UNIX, SOCK_STREAM, 0)));
        EXPECT(is_refused(::socket(AF_NETLINK, SOCK_DGRAM, 0)));
        int ends[2];
        EXPECT(is_refused(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends)));
        EXPECT(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        int on = 1;
        EXPECT(::ioctl(ends[0], FIOASYNC, &on) == 0);
        EXPECT(is_refused(::ioctl(ends[0], SIOCGIFCONF, &on)));
        const int door = ::socket(AF_INET, SOCK_STREAM, 0);
        EXPECT(is_refused(::listen(door, 1)));
        sockaddr_in nowhere{};
        EXPECT(is_refused(::bind(door, reinterpret_cast<sockaddr*>(&nowhere), sizeof nowhere)));
        nowhere.sin_family = AF_INET;
        nowhere.sin_port = htons(1);
        EXPECT(is_refused(::connect(door, reinterpret_cast<sockaddr*>(&nowhere), sizeof nowhere), ECONNREFUSED));
    });
}

TEST_CASE("Landlock: a file of its own, and what is there without what is made") {
    if (landlock_version() < landlock_version_needed) {
        WARN("skipped: this kernel has no Landlock that can be used");
        return;
    }
    test::ScratchDirectory scratch;
    for (const char* directory : {"journal", "elsewhere"}) std::filesystem::create_directory(scratch / directory);
    for (const char* file : {"journal/segment", "elsewhere/named", "elsewhere/other"}) std::ofstream(scratch / file) << "text";
    in_process([&] {
        const UniqueFd journal(::open((scratch / "journal").c_str(), O_PATH | O_CLOEXEC)), named(::open((scratch / "elsewhere/named").c_str(), O_PATH | O_CLOEXEC));
        EXPECT(forgo_new_privileges());
        EXPECT(restrict_by_landlock({{.directory = journal.get(), .only_existing = true}, {.directory = named.get(), .read_only = true}}, LandlockTcp::may_connect));
        EXPECT(opened(scratch / "journal/segment", O_RDWR) >= 0);
        EXPECT(opened(scratch / "journal", O_RDONLY | O_DIRECTORY) >= 0);
        EXPECT(opened(scratch / "journal/new", O_RDWR | O_CREAT) < 0 && errno == EACCES);
        EXPECT(::unlink((scratch / "journal/segment").c_str()) != 0 && errno == EACCES);
        EXPECT(opened(scratch / "elsewhere/named", O_RDONLY) >= 0);
        EXPECT(opened(scratch / "elsewhere/named", O_WRONLY) < 0 && errno == EACCES);
        EXPECT(opened(scratch / "elsewhere/other", O_RDONLY) < 0 && errno == EACCES);
        if (landlock_version() < 4) return;
        const int door = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in here{};
        here.sin_family = AF_INET;
        EXPECT(::bind(door, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0 && errno == EACCES);
        here.sin_port = htons(1);
        here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT(::connect(door, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0 && errno == ECONNREFUSED);
    });
}

TEST_CASE("system call filter: a service goes on: files, threads, its own signals") {
    test::ScratchDirectory scratch;
    in_process([&] {
        EXPECT(forgo_new_privileges());
        EXPECT(filter_system_calls(system_call_filter(::getpid())));
        EXPECT(opened(scratch / "file", O_CREAT | O_RDWR) >= 0);
        int from_thread = -1;
        std::thread([&] { from_thread = opened(scratch / "file", O_RDONLY); }).join();
        EXPECT(from_thread >= 0);
        EXPECT(::kill(::getpid(), 0) == 0);
        rlimit64 limit;
        EXPECT(::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit) == 0);
    });
}

TEST_CASE("system call filter: calls that are asked for stay") {
    in_process([] {
        EXPECT(forgo_new_privileges());
        EXPECT(filter_system_calls(system_call_filter(::getpid(), {SYS_socket})));
        EXPECT(::socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
        EXPECT(is_refused(::connect(0, nullptr, 0)));
    });
}

TEST_CASE("landlock: nothing but what lies beneath the named directories") {
    if (landlock_version() < landlock_version_needed) {
        WARN("skipped: this kernel has no Landlock that serves");
        return;
    }
    test::ScratchDirectory scratch;
    for (const char* name : {"in", "read", "out"}) ::mkdir((scratch / name).c_str(), 0700);
    for (const char* name : {"in/file", "read/file", "out/file"}) std::ofstream(scratch / name) << name;
    in_process([&] {
        const UniqueFd in(::open((scratch / "in").c_str(), O_PATH | O_DIRECTORY)), read(::open((scratch / "read").c_str(), O_PATH | O_DIRECTORY));
        EXPECT(forgo_new_privileges());
        EXPECT(restrict_by_landlock({{in.get()}, {read.get(), true}}));
        EXPECT(opened(scratch / "in/file", O_RDWR) >= 0);
        EXPECT(opened(scratch / "in/new", O_CREAT | O_WRONLY) >= 0);
        EXPECT(opened(scratch / "read/file", O_RDONLY) >= 0);
        EXPECT(is_refused(opened(scratch / "read/file", O_WRONLY), EACCES));
        EXPECT(is_refused(opened(scratch / "out/file", O_RDONLY), EACCES));
        EXPECT(is_refused(opened("/etc/passwd", O_RDONLY), EACCES));
        EXPECT(is_refused(::rename((scratch / "in/file").c_str(), (scratch / "out/moved").c_str()), EACCES) || errno == EXDEV);
        EXPECT(::mkdir((scratch / "in/directory").c_str(), 0700) == 0);
        EXPECT(::rename((scratch / "in/file").c_str(), (scratch / "in/directory/file").c_str()) == 0);
    });
}

TEST_CASE("jail: there is nothing but the places, where they were") {
    if (!is_root()) return;
    test::ScratchDirectory scratch;
    for (const char* name : {"in", "read", "out"}) ::mkdir((scratch / name).c_str(), 0700);
    for (const char* name : {"in/file", "read/file", "out/file"}) std::ofstream(scratch / name) << name;
    REQUIRE(::mknod((scratch / "in/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
    in_process([&] {
        bool must_end = false;
        EXPECT(enter_jail({{.path = scratch / "in"}, {.path = scratch / "read", .read_only = true}}, &must_end));
        EXPECT(opened(scratch / "in/file", O_RDWR) >= 0);
        EXPECT(opened(scratch / "read/file", O_RDONLY) >= 0);
        EXPECT(is_refused(opened(scratch / "read/file", O_WRONLY), EROFS));
        EXPECT(is_refused(opened(scratch / "out/file", O_RDONLY), ENOENT));
        EXPECT(is_refused(::chmod("/etc/passwd", 0644), ENOENT));
        EXPECT(is_refused(opened(scratch / "in/null", O_RDONLY), EACCES));
        EXPECT(is_refused(::mkdir("/new", 0700), EROFS));
        EXPECT(::chdir("/..") == 0);
        EXPECT(is_refused(opened("etc/passwd", O_RDONLY), ENOENT));
    });
    CHECK(opened(scratch / "out/file", O_RDONLY) >= 0);
}

TEST_CASE("jail: a place that is not there leaves the process where it was") {
    if (!is_root()) return;
    in_process([] {
        bool must_end = false;
        EXPECT(!enter_jail({{.path = "/no/such/place"}}, &must_end));
        EXPECT(!must_end);
        EXPECT(opened("/etc/passwd", O_RDONLY) >= 0);
    });
}

TEST_CASE("confine: handles lead to the parts that are named and to nothing else, also where the kernel has forgotten their names") {
    if (!is_root()) return;
    test::ScratchDirectory scratch;
    for (const char* name : {"in", "in/image", "in/other", "out"}) ::mkdir((scratch / name).c_str(), 0700);
    for (const char* name : {"in/image/file", "in/other/file", "out/file"}) std::ofstream(scratch / name) << name;
    const auto inside = file_handle_at(AT_FDCWD, scratch / "in/image"), other = file_handle_at(AT_FDCWD, scratch / "in/other/file"),
               outside = file_handle_at(AT_FDCWD, scratch / "out/file"), above = file_handle_at(AT_FDCWD, scratch.path());
    if (!inside || landlock_version() < landlock_version_needed) {
        WARN("skipped: needs handles and Landlock");
        return;
    }
    in_process([&] {
        const auto confined = confine({.places = {{.path = scratch / "in"}}, .handles = {scratch / "in", {"/image"}}, .capabilities = capability(CAP_DAC_READ_SEARCH)});
        EXPECT(confined && confined->handle_fd >= 0);
        EXPECT(open_file_handle(confined->handle_fd, *inside, O_RDONLY));
        EXPECT(!open_file_handle(confined->handle_fd, *other, O_RDONLY));
        EXPECT(!open_file_handle(confined->handle_fd, *outside, O_RDONLY));
        EXPECT(!open_file_handle(confined->handle_fd, *outside, O_PATH));
        EXPECT(!open_file_handle(confined->handle_fd, *above, O_RDONLY));
        // With the mount by which the place itself is reached Landlock of Linux 6.18 would allow it.
        const int place = ::open((scratch / "in").c_str(), O_RDONLY | O_DIRECTORY);
        EXPECT(place >= 0 && opened(scratch / "in/image/new", O_CREAT | O_WRONLY) >= 0);
        EXPECT(!open_file_handle(place, *outside, O_RDONLY));
        EXPECT(is_refused(::dup2(place, confined->handle_fd)));
        EXPECT(is_refused(::close(confined->handle_fd)));
        EXPECT(is_refused(static_cast<long>(::syscall(SYS_close_range, 3, 100, 0))));
    });
}

TEST_CASE("confine: a directory is found by its handle, whatever the kernel has forgotten around it, and none that lies elsewhere") {
    if (!is_root()) return;
    test::ScratchDirectory scratch;
    std::filesystem::create_directories(scratch / "in/image/a/b/c");
    std::filesystem::create_directories(scratch / "out/a/b/c");
    const auto inside = file_handle_at(AT_FDCWD, scratch / "in/image/a/b/c"), outside = file_handle_at(AT_FDCWD, scratch / "out/a/b/c");
    std::ofstream(scratch / "in/image/a/b/file") << "file";
    const auto file_inside = file_handle_at(AT_FDCWD, scratch / "in/image/a/b/file");
    std::filesystem::create_directory(scratch / "in/image/gone");
    const auto gone = file_handle_at(AT_FDCWD, scratch / "in/image/gone");
    std::filesystem::remove(scratch / "in/image/gone");
    if (!inside || landlock_version() < landlock_version_needed) {
        WARN("skipped: needs handles and Landlock");
        return;
    }
    constexpr int flags = O_RDONLY | O_DIRECTORY;
    in_process([&] {
        const auto confined = confine({.places = {{.path = scratch / "in"}}, .handles = {scratch / "in", {"/image"}}, .capabilities = capability(CAP_DAC_READ_SEARCH)});
        EXPECT(confined && confined->reconnector && confined->reconnector->is_there());
        open_all_handles_with(confined->handle_fd, confined->reconnector);
        // The kernel is made to forget now.
        ::raise(SIGSTOP);
        EXPECT(open_file_handle(-1, *inside, flags));
        EXPECT(open_file_handle(-1, *gone, flags).error().code == ErrorCode::not_found);
        const auto file = is_file_handle_alive(-1, *file_inside), nothing = is_file_handle_alive(-1, *gone);
        EXPECT(file && *file && nothing && !*nothing);
        const auto refused = open_file_handle(-1, *outside, flags);
        EXPECT(!refused && refused.error().code != ErrorCode::not_found);
        // Once it is known where it lies as well.
        EXPECT(!open_file_handle(-1, *outside, flags));
        EXPECT(open_file_handle(-1, FileHandle{std::string(8, 'x')}, flags).error().code != ErrorCode::unavailable);
        EXPECT(confined->reconnector->is_there());
    }, [] { std::ofstream("/proc/sys/vm/drop_caches") << 2; });
}

TEST_CASE("capabilities: those that are not kept are gone, and do not come back") {
    if (!is_root()) return;
    in_process([] {
        const auto kept = capability(CAP_CHOWN) | capability(CAP_SETFCAP);
        const auto before = effective_capabilities();
        EXPECT(before);
        EXPECT(keep_capabilities(kept));
        const auto after = effective_capabilities();
        EXPECT(after && *after == (*before & kept));
        EXPECT(keep_capabilities(~Capabilities{}));
        EXPECT(*effective_capabilities() == *after);
    });
}

TEST_CASE("confine: says what is around the process, and the time zone stays") {
    if (!is_root()) return;
    test::ScratchDirectory scratch;
    ::mkdir((scratch / "in").c_str(), 0700);
    in_process([&] {
        const time_t now = 1'750'000'000;
        tm before{}, after{};
        ::localtime_r(&now, &before);
        const auto confined = confine({.places = {{.path = scratch / "in"}, {.path = "/proc", .read_only = true, .with_mounts = false}}});
        EXPECT(confined);
        EXPECT(confined->has_own_root && confined->has_call_filter);
        EXPECT(confined->landlock == (landlock_version() >= landlock_version_needed ? landlock_version() : 0));
        EXPECT(confined->text().starts_with("a root of its own"));
        ::localtime_r(&now, &after);
        EXPECT(before.tm_hour == after.tm_hour && before.tm_gmtoff == after.tm_gmtoff);
        EXPECT(opened(scratch / "in/file", O_CREAT | O_WRONLY) >= 0);
        EXPECT(is_refused(opened("/etc/passwd", O_RDONLY), ENOENT));
        EXPECT(opened("/proc/self/mem", O_RDWR) < 0);
        EXPECT(landlock_version() < landlock_version_needed || is_refused(opened("/proc/1/cmdline", O_RDONLY), EACCES));
        EXPECT(::access("/proc/self/fd/0", F_OK) == 0);
    });
}

}  // namespace holdfast
