// Which call changes which time, and what utimensat accepts from whom.
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/xattr.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void names_change_directories() {
    make_directory("d");
    make_directory("e");
    make_file("d/f", 0644, "contents");
    SEE_TIMES(PATHS("d"), make_file("d/new"));
    SEE_TIMES(PATHS("d", "d/f"), ::link("d/f", "d/l"));
    SEE_TIMES(PATHS("d", "d/f"), ::unlink("d/l"));
    SEE_TIMES(PATHS("d"), ::mkdir("d/sub", 0755));
    SEE_TIMES(PATHS("d"), ::rmdir("d/sub"));
    SEE_TIMES(PATHS("d"), ::symlink("x", "d/s"));
    SEE_TIMES(PATHS("d"), ::mkfifo("d/p", 0644));
    SEE_TIMES(PATHS("d", "e", "d/f"), ::rename("d/f", "e/f"));
    SEE_TIMES(PATHS("e", "d/new"), ::rename("d/new", "e/f"));
    SEE_TIMES(PATHS("d", "e"), ::rename("d/none", "e/f"));
    SEE_TIMES(PATHS("e"), ::rename("e/f", "e/f"));
    SEE_TIMES(PATHS("d"), ::mkdir("d/s", 0755));
    SEE_TIMES(PATHS("d"), ::unlink("d/none"));
    SEE_TIMES(PATHS("d"), ::close(::open("d", O_TMPFILE | O_RDWR, 0600)));
}

void renames_of_directories() {
    make_directory("a");
    make_directory("b");
    make_directory("a/d");
    make_directory("b/empty");
    SEE_TIMES(PATHS("a", "b", "a/d"), ::rename("a/d", "b/d"));
    SEE_TIMES(PATHS("b", "b/d"), ::rename("b/d", "b/empty"));
    make_directory("a/x");
    SEE_TIMES(PATHS("a", "b", "a/x", "b/empty"), ::renameat2(AT_FDCWD, "a/x", AT_FDCWD, "b/empty", RENAME_EXCHANGE));
}

void data_changes_files() {
    make_file("f", 0644, std::string(8192, 'a'));
    const UniqueFd fd = open_file("f");
    SEE_TIMES(PATHS("f"), SEE(pwrite(fd.get(), "x", 1, 0)));
    SEE_TIMES(PATHS("f"), SEE(pwrite(fd.get(), "", 0, 0)));
    SEE_TIMES(PATHS("f"), SEE(ftruncate(fd.get(), 100)));
    SEE_TIMES(PATHS("f"), SEE(ftruncate(fd.get(), 100)));
    SEE_TIMES(PATHS("f"), SEE(truncate("f", 100)));
    SEE_TIMES(PATHS("f"), SEE(truncate("f", 9000)));
    SEE_TIMES(PATHS("f"), ::close(::open("f", O_RDWR | O_TRUNC)));
    SEE_TIMES(PATHS("f"), ::close(::open("f", O_RDWR | O_TRUNC)));
    SEE_TIMES(PATHS("f"), ::close(::open("f", O_RDWR | O_CREAT, 0644)));
    SEE_TIMES(PATHS("f"), SEE(fallocate(fd.get(), 0, 0, 8192)));
    SEE_TIMES(PATHS("f"), SEE(fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 8192, 8192)));
    SEE_TIMES(PATHS("f"), SEE(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)));
    SEE_TIMES(PATHS("f"), SEE(fsync(fd.get())));
}

void attributes_change_ctime() {
    make_file("f", 0644, "contents");
    ::symlink("f", "s");
    SEE_TIMES(PATHS("f"), SEE(chmod("f", 0600)));
    SEE_TIMES(PATHS("f"), SEE(chmod("f", 0600)));
    SEE_TIMES(PATHS("f"), SEE(chown("f", 70001, 70001)));
    SEE_TIMES(PATHS("f"), SEE(chown("f", static_cast<uid_t>(-1), static_cast<gid_t>(-1))));
    SEE_TIMES(PATHS("s", "f"), SEE(lchown("s", 70002, 70002)));
    SEE_TIMES(PATHS("f"), SEE(setxattr("f", "user.a", "1", 1, 0)));
    SEE_TIMES(PATHS("f"), SEE(removexattr("f", "user.a")));
    SEE_TIMES(PATHS("f"), SEE(removexattr("f", "user.none")));
    SEE_TIMES(PATHS("f"), SEE(access("f", R_OK)));
}

// A write through one descriptor is seen at once in the times that another, or the name, shows.
void seen_at_once() {
    make_file("f", 0644, "contents");
    const UniqueFd writer = open_file("f", O_WRONLY);
    const UniqueFd other = open_file("f", O_RDONLY);
    struct stat before, after, by_name;
    ::fstat(other.get(), &before);
    tick();
    SEE(write(writer.get(), "x", 1));
    ::fstat(other.get(), &after);
    ::stat("f", &by_name);
    say("later", after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
                     (after.st_mtim.tv_sec == before.st_mtim.tv_sec && after.st_mtim.tv_nsec > before.st_mtim.tv_nsec));
    say("the same by name", after.st_mtim.tv_nsec == by_name.st_mtim.tv_nsec);
    ::stat("f", &before);
    ::close(::dup(writer.get()));
    ::stat("f", &after);
    say("closing changes nothing", before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

// A time that was set stays through close, although data was written before.
void set_after_write() {
    make_file("f", 0644, "contents");
    {
        const UniqueFd fd = open_file("f", O_WRONLY);
        SEE(write(fd.get(), "x", 1));
        const struct timespec times[2] = {{1'000'000'000, 1}, {1'200'000'000, 999'999'999}};
        SEE(futimens(fd.get(), times));
    }
    struct stat st;
    ::stat("f", &st);
    say("mtime", printf_string("%lld.%09ld", static_cast<long long>(st.st_mtim.tv_sec), st.st_mtim.tv_nsec));
    say("atime", printf_string("%lld.%09ld", static_cast<long long>(st.st_atim.tv_sec), st.st_atim.tv_nsec));
}

void show_times(const char* path) {
    struct stat st;
    if (::lstat(path, &st) != 0) return say(path, errno_name(errno));
    say(printf_string("times of %s", path), printf_string("%lld.%09ld %lld.%09ld", static_cast<long long>(st.st_atim.tv_sec), st.st_atim.tv_nsec,
                                                           static_cast<long long>(st.st_mtim.tv_sec), st.st_mtim.tv_nsec));
}

void odd_times() {
    make_file("f");
    make_directory("d");
    ::mkfifo("p", 0644);
    ::symlink("none", "s");
    for (const char* path : {"f", "d", "p", "s"}) {
        for (const long long second : {0LL, 1LL, -1LL, -86400LL, 2147483647LL, 2147483648LL, 4294967296LL, 15032385535LL}) {
            for (const long nanosecond : {0L, 1L, 999'999'999L}) {
                const struct timespec times[2] = {{second, nanosecond}, {second, nanosecond}};
                SEE_AS(printf_string("utimensat %s %lld.%ld", path, second, nanosecond), ::utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
                show_times(path);
            }
        }
    }
    for (const long nanosecond : {-1L, 1'000'000'000L, UTIME_OMIT, 999'999'999'999L}) {
        const struct timespec times[2] = {{5, nanosecond}, {6, nanosecond}};
        SEE_AS(printf_string("utimensat with nanosecond %ld", nanosecond), ::utimensat(AT_FDCWD, "f", times, 0));
        show_times("f");
    }
}

struct Request {
    const char* name;
    struct timespec times[2];
    bool use_null;
};
constexpr Request requests[] = {
    {"null", {}, true},
    {"now now", {{0, UTIME_NOW}, {0, UTIME_NOW}}, false},
    {"now omit", {{0, UTIME_NOW}, {0, UTIME_OMIT}}, false},
    {"omit now", {{0, UTIME_OMIT}, {0, UTIME_NOW}}, false},
    {"omit omit", {{0, UTIME_OMIT}, {0, UTIME_OMIT}}, false},
    {"set set", {{100, 5}, {200, 6}}, false},
    {"set omit", {{100, 5}, {0, UTIME_OMIT}}, false},
    {"omit set", {{0, UTIME_OMIT}, {200, 6}}, false},
    {"set now", {{100, 5}, {0, UTIME_NOW}}, false},
};

// Owners may set any time, writers only the present, others nothing.
void who_may() {
    for (const mode_t mode : {0644, 0666, 0444, 0222, 0000}) {
        for (const User* user : {&alice, &bob, &carol}) {
            for (const Request& request : requests) {
                make_file("f", 0644, "x");
                give("f", alice.uid, shared_group);
                ::chmod("f", mode);
                as(*user, [&] {
                    SEE_TIMES(PATHS("f"), SEE_AS(printf_string("%s, mode %o", request.name, mode), ::utimensat(AT_FDCWD, "f", request.use_null ? nullptr : request.times, 0)));
                });
                ::unlink("f");
            }
        }
    }
}

void by_descriptor() {
    make_file("f", 0444, "x");
    give("f", alice.uid, alice.gid);
    const UniqueFd reader = open_file("f", O_RDONLY);
    const UniqueFd path(::open("f", O_PATH));
    const struct timespec times[2] = {{100, 5}, {200, 6}};
    SEE(futimens(reader.get(), times));
    show_times("f");
    SEE(futimens(path.get(), times));
    SEE(utimensat(path.get(), "", times, AT_EMPTY_PATH));
    SEE(utimensat(AT_FDCWD, "none", times, 0));
    SEE(utimensat(AT_FDCWD, "f/x", times, 0));
    as(bob, [&] { SEE(futimens(reader.get(), times)); SEE(futimens(reader.get(), nullptr)); });
}

// Stores into a shared mapping change the times at the latest when they are synced.
void mapping_changes_mtime() {
    make_file("f", 0644, std::string(4096, 'a'));
    const UniqueFd fd = open_file("f");
    SEE_TIMES(PATHS("f"), {
        char* map = static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
        map[7] = 'b';
        SEE(msync(map, 4096, MS_SYNC));
        ::munmap(map, 4096);
    });
    see_bytes("f");
}

constexpr Case cases[] = {
    {"names_change_directories", names_change_directories}, {"renames_of_directories", renames_of_directories},
    {"data_changes_files", data_changes_files}, {"attributes_change_ctime", attributes_change_ctime},
    {"seen_at_once", seen_at_once}, {"set_after_write", set_after_write}, {"odd_times", odd_times},
    {"who_may", who_may}, {"by_descriptor", by_descriptor}, {"mapping_changes_mtime", mapping_changes_mtime},
};

}  // namespace

extern const Topic time_topic{"time", cases};

}  // namespace holdfast::fidelity
