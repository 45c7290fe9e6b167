// Fifos, sockets, devices and programs.
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void fifos() {
    SEE(mkfifo("p", 0666));
    SEE_FD(open("p", O_WRONLY | O_NONBLOCK));
    const UniqueFd reader = open_file("p", O_RDONLY | O_NONBLOCK);
    const UniqueFd writer = open_file("p", O_WRONLY | O_NONBLOCK);
    char buffer[16] = {};
    SEE(read(reader.get(), buffer, sizeof buffer));
    SEE(write(writer.get(), "hello", 5));
    SEE(read(reader.get(), buffer, sizeof buffer));
    say("through the fifo", buffer);
    SEE(lseek(reader.get(), 0, SEEK_SET));
    SEE(fsync(writer.get()));
    see_stat("p");
    SEE(rename("p", "q"));
    SEE(write(writer.get(), "again", 5));
    SEE(read(reader.get(), buffer, sizeof buffer));
    SEE(unlink("q"));
    SEE(write(writer.get(), "nameless", 8));
}

void sockets() {
    const UniqueFd server(::socket(AF_UNIX, SOCK_STREAM, 0)), client(::socket(AF_UNIX, SOCK_STREAM, 0));
    struct sockaddr_un address {};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, "socket");
    const auto* raw = reinterpret_cast<const struct sockaddr*>(&address);
    SEE(bind(server.get(), raw, sizeof address));
    SEE(connect(client.get(), raw, sizeof address));
    SEE(listen(server.get(), 1));
    SEE(connect(client.get(), raw, sizeof address));
    see_stat("socket");
    SEE_FD(open("socket", O_RDWR));
    SEE(rename("socket", "moved"));
    const UniqueFd another(::socket(AF_UNIX, SOCK_STREAM, 0));
    SEE(connect(another.get(), raw, sizeof address));
    SEE(chmod("moved", 0600));
    as(alice, [] {
        struct sockaddr_un moved {};
        moved.sun_family = AF_UNIX;
        strcpy(moved.sun_path, "moved");
        const UniqueFd own(::socket(AF_UNIX, SOCK_STREAM, 0));
        SEE(connect(own.get(), reinterpret_cast<const struct sockaddr*>(&moved), sizeof moved));
    });
    SEE(unlink("moved"));
}

void devices() {
    SEE(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    SEE(mknod("zero", S_IFCHR | 0600, makedev(1, 5)));
    SEE(mknod("nothing", S_IFCHR | 0666, makedev(4095, 77)));
    const UniqueFd null = open_file("null");
    char buffer[16];
    SEE(write(null.get(), "gone", 4));
    SEE(read(null.get(), buffer, 4));
    const UniqueFd zero = open_file("zero");
    SEE(read(zero.get(), buffer, 4));
    SEE_FD(open("nothing", O_RDWR));
    SEE_FD(open("null", O_RDWR | O_TRUNC));
    as(alice, [] { SEE_FD(open("null", O_RDWR)); SEE_FD(open("zero", O_RDWR)); });
    see_stat("null");
}

void run_it(const char* path) {
    const int status = in_child([path] {
        ::execl(path, path, static_cast<char*>(nullptr));
        _exit(errno);
    });
    say(printf_string("run %s", path), WIFEXITED(status) && WEXITSTATUS(status) != 0 ? errno_name(WEXITSTATUS(status)) : describe_status(status));
}

void programs() {
    make_file("script", 0755, "#!/bin/sh\nexit 0\n");
    make_file("not-executable", 0644, "#!/bin/sh\nexit 0\n");
    make_file("no-interpreter", 0755, "#!/none/such\n");
    make_file("nonsense", 0755, "\x7f" "ELF nonsense");
    make_directory("dir");
    for (const char* path : {"script", "not-executable", "no-interpreter", "nonsense", "dir", "none"}) run_it(path);
    ::chmod("script", 0700);
    as(alice, [] { run_it("script"); });
    const int status = in_child([] { ::execl("/bin/cp", "cp", "/bin/true", "true", static_cast<char*>(nullptr)); });
    say("copy", describe_status(status));
    run_it("true");
    // A program that runs cannot be written, and one that is written cannot run.
    const UniqueFd writer = open_file("true", O_WRONLY);
    run_it("true");
    see_times("running", {"script"}, [] { run_it("script"); });
}

void setuid_programs() {
    in_child([] { ::execl("/bin/cp", "cp", "/usr/bin/id", "id", static_cast<char*>(nullptr)); });
    give("id", bob.uid, bob.gid);
    ::chmod("id", 06755);
    as(alice, [] {
        int ends[2];
        if (::pipe(ends) != 0) return;
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::dup2(ends[1], STDOUT_FILENO);
            ::execl("./id", "id", "-u", static_cast<char*>(nullptr));
            _exit(1);
        }
        ::close(ends[1]);
        char text[64] = {};
        say("bytes", static_cast<long long>(::read(ends[0], text, sizeof text - 1)));
        say("runs as", std::string_view(text, strcspn(text, "\n")));
        wait_for(pid);
    });
}

constexpr Case cases[] = {
    {"fifos", fifos}, {"sockets", sockets}, {"devices", devices}, {"programs", programs}, {"setuid_programs", setuid_programs},
};

}  // namespace

extern const Topic special_topic{"special", cases};

}  // namespace holdfast::fidelity
