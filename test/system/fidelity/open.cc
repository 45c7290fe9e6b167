// The flags of open, alone and together.
#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

struct Flag {
    const char* name;
    int value;
};

constexpr Flag accesses[] = {{"RDONLY", O_RDONLY}, {"WRONLY", O_WRONLY}, {"RDWR", O_RDWR}, {"3", 3}};
constexpr Flag flags[] = {
    {"", 0},
    {"CREAT", O_CREAT},
    {"CREAT|EXCL", O_CREAT | O_EXCL},
    {"EXCL", O_EXCL},
    {"TRUNC", O_TRUNC},
    {"CREAT|TRUNC", O_CREAT | O_TRUNC},
    {"APPEND", O_APPEND},
    {"APPEND|TRUNC", O_APPEND | O_TRUNC},
    {"NOFOLLOW", O_NOFOLLOW},
    {"CREAT|NOFOLLOW", O_CREAT | O_NOFOLLOW},
    {"DIRECTORY", O_DIRECTORY},
    {"DIRECTORY|CREAT", O_DIRECTORY | O_CREAT},
    {"DIRECTORY|NOFOLLOW", O_DIRECTORY | O_NOFOLLOW},
    {"NOATIME", O_NOATIME},
    {"SYNC", O_SYNC},
    {"DSYNC", O_DSYNC},
    {"DIRECT", O_DIRECT},
    {"NONBLOCK", O_NONBLOCK},
    {"NOCTTY", O_NOCTTY},
    {"PATH", O_PATH},
    {"PATH|NOFOLLOW", O_PATH | O_NOFOLLOW},
    {"PATH|DIRECTORY", O_PATH | O_DIRECTORY},
    {"TMPFILE", O_TMPFILE},
    {"TMPFILE|EXCL", O_TMPFILE | O_EXCL},
};

// Each combination on each kind of object; what the object is afterwards shows truncation and creation.
void combinations_on(const char* path, const std::function<void()>& make) {
    for (const Flag& access : accesses) {
        for (const Flag& flag : flags) {
            make();
            const std::string label = printf_string("open %s %s|%s", path, access.name, flag.name);
            const UniqueFd fd(::open(path, access.value | flag.value | O_NONBLOCK | O_CLOEXEC, 0640));
            struct stat st {};
            const int error = errno;
            const bool have = fd && ::fstat(fd.get(), &st) == 0;
            say(label, have ? printf_string("ok mode=%o size=%lld", st.st_mode, S_ISDIR(st.st_mode) ? 0LL : static_cast<long long>(st.st_size))
                            : errno_name(error));
        }
    }
}

void of_a_file() {
    combinations_on("file", [] { make_file("file", 0644, "contents"); });
}
void of_nothing() {
    combinations_on("missing", [] { ::unlink("missing"); });
}
void of_a_directory() {
    make_directory("dir");
    combinations_on("dir", [] {});
}
void of_a_link() {
    ::symlink("file", "link");
    combinations_on("link", [] { make_file("file", 0644, "contents"); });
}
void of_a_fifo() {
    ::mkfifo("fifo", 0644);
    // A writer that waits for a reader would hang; with O_NONBLOCK it gets ENXIO.
    combinations_on("fifo", [] {});
}

// Who may open what: nine permission bits, three users, three accesses.
void permissions() {
    for (const mode_t mode : {0000, 0400, 0200, 0600, 0040, 0020, 0060, 0004, 0002, 0006, 0777, 0111}) {
        const std::string name = printf_string("f%03o", mode);
        make_file(name, mode, "x");
        give(name, alice.uid, shared_group);
        ::chmod(name.c_str(), mode);
    }
    for (const User& user : {alice, bob, carol}) {
        as(user, [] {
            for (const mode_t mode : {0000, 0400, 0200, 0600, 0040, 0020, 0060, 0004, 0002, 0006, 0777, 0111}) {
                const std::string name = printf_string("f%03o", mode);
                for (const Flag& access : accesses) {
                    SEE_FD_AS(printf_string("open %s %s", name.c_str(), access.name), ::open(name.c_str(), access.value));
                }
                SEE_FD_AS("trunc " + name, ::open(name.c_str(), O_RDONLY | O_TRUNC));
                SEE_FD_AS("path " + name, ::open(name.c_str(), O_PATH));
                SEE_FD_AS("noatime " + name, ::open(name.c_str(), O_RDONLY | O_NOATIME));
            }
        });
    }
    for (const mode_t mode : {0000, 0400}) SEE_FD_AS("root", ::open(printf_string("f%03o", mode).c_str(), O_RDWR));
    // A file opened for creation with mode 0 is writable through this descriptor and no other.
    make_directory("open-to-all", 0777);
    as(bob, [] {
        const UniqueFd fd = SEE_FD(open("open-to-all/zero", O_RDWR | O_CREAT, 0));
        SEE(write(fd.get(), "x", 1));
        SEE_FD(open("open-to-all/zero", O_RDONLY));
        SEE_FD(open("open-to-all/zero", O_RDWR | O_CREAT, 0644));
        const UniqueFd readable = SEE_FD(open("open-to-all/readonly", O_RDWR | O_CREAT | O_EXCL, 0444));
        SEE(write(readable.get(), "x", 1));
        SEE_FD(open("open-to-all/readonly", O_WRONLY | O_CREAT, 0644));
        SEE_FD(open("open-to-all/readonly", O_RDONLY | O_CREAT, 0644));
        SEE_FD(open("open-to-all/readonly", O_RDONLY | O_CREAT | O_EXCL, 0644));
    });
    see_stat("open-to-all/zero");
    see_stat("open-to-all/readonly");
}

// What fcntl says afterwards.
void flags_afterwards() {
    make_file("file", 0644, "contents");
    for (const int value : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK, O_RDWR | O_SYNC,
                            O_RDWR | O_DSYNC, O_RDWR | O_CREAT | O_TRUNC, O_RDONLY | O_NOATIME, O_PATH, O_RDWR | O_DIRECT}) {
        const UniqueFd fd(::open("file", value, 0644));
        const int got = ::fcntl(fd.get(), F_GETFL);
        say(printf_string("flags after %o", value), printf_string("%o", got));
    }
    const UniqueFd fd = open_file("file", O_RDWR);
    SEE(fcntl(fd.get(), F_SETFL, O_APPEND));
    SEE(write(fd.get(), "!", 1));
    SEE(fcntl(fd.get(), F_SETFL, 0));
    SEE(pwrite(fd.get(), "?", 1, 0));
    see_bytes("file");
    SEE(fcntl(fd.get(), F_SETFL, O_DIRECT));
    SEE(fcntl(fd.get(), F_SETFL, 0));
    SEE(fcntl(fd.get(), F_SETFL, O_NOATIME));
}

// Of many processes creating the same name with O_EXCL, one wins.
void exclusive_race() {
    constexpr int rounds = 40, racers = 4;
    int winners = 0;
    for (int round = 0; round < rounds; ++round) {
        const std::string name = printf_string("race%d", round);
        pid_t pids[racers];
        for (pid_t& pid : pids) {
            pid = spawn([&] {
                const UniqueFd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644));
                _exit(fd ? 1 : errno == EEXIST ? 0 : 2);
            });
        }
        for (const pid_t pid : pids) {
            const int status = wait_for(pid);
            if (describe_status(status) == "exit 1") ++winners;
            if (describe_status(status) == "exit 2") say("a racer", "another error than EEXIST");
        }
    }
    say("winners in 40 rounds", winners);
    int makers = 0;
    for (int round = 0; round < rounds; ++round) {
        const std::string name = printf_string("dir%d", round);
        pid_t pids[racers];
        for (pid_t& pid : pids) pid = spawn([&] { _exit(::mkdir(name.c_str(), 0755) == 0 ? 1 : 0); });
        for (const pid_t pid : pids) makers += describe_status(wait_for(pid)) == "exit 1" ? 1 : 0;
    }
    say("makers of directories in 40 rounds", makers);
}

void openat_with_descriptors() {
    make_directory("dir");
    make_file("file");
    const UniqueFd directory = open_file("dir", O_RDONLY | O_DIRECTORY);
    const UniqueFd path = open_file("dir", O_PATH);
    const UniqueFd file = open_file("file");
    SEE_FD(openat(directory.get(), "x", O_RDWR | O_CREAT, 0644));
    SEE_FD(openat(path.get(), "y", O_RDWR | O_CREAT, 0644));
    SEE_FD(openat(file.get(), "z", O_RDWR | O_CREAT, 0644));
    SEE_FD(openat(-1, "z", O_RDWR | O_CREAT, 0644));
    SEE(mkdirat(file.get(), "z", 0755));
    SEE(unlinkat(directory.get(), "x", AT_REMOVEDIR));
    SEE(unlinkat(directory.get(), "x", 0));
    SEE(unlinkat(directory.get(), "x", 12345));
    SEE(renameat(path.get(), "y", directory.get(), "x"));
    SEE(symlinkat("x", path.get(), "s"));
    SEE(linkat(path.get(), "s", directory.get(), "t", 0));
    SEE(fchmodat(path.get(), "x", 0600, 0));
    SEE(fchownat(path.get(), "s", 1, 1, AT_SYMLINK_NOFOLLOW));
    SEE(faccessat(path.get(), "x", R_OK, 0));
    see_names("dir");
    // A directory that is gone.
    SEE(mkdir("gone", 0755));
    const UniqueFd gone = open_file("gone", O_RDONLY | O_DIRECTORY);
    SEE(rmdir("gone"));
    SEE_FD(openat(gone.get(), "x", O_RDWR | O_CREAT, 0644));
    SEE(mkdirat(gone.get(), "x", 0755));
    SEE_FD(openat(gone.get(), ".", O_RDONLY));
    see_fstat("a removed directory", gone.get());
}

constexpr Case cases[] = {
    {"of_a_file", of_a_file},
    {"of_nothing", of_nothing},
    {"of_a_directory", of_a_directory},
    {"of_a_link", of_a_link},
    {"of_a_fifo", of_a_fifo},
    {"permissions", permissions},
    {"flags_afterwards", flags_afterwards},
    {"exclusive_race", exclusive_race},
    {"openat_with_descriptors", openat_with_descriptors},
};

}  // namespace

extern const Topic open_topic{"open", cases};

}  // namespace holdfast::fidelity
