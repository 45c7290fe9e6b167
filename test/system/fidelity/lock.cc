// Locks: flock, record locks, open-file-description locks, leases.
#include <signal.h>
#include <sys/file.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

struct flock range(short type, off_t start, off_t length) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = length;
    return lock;
}

void whole_files() {
    make_file("f");
    const UniqueFd a = open_file("f"), b = open_file("f", O_RDONLY);
    SEE(flock(a.get(), LOCK_SH));
    SEE(flock(b.get(), LOCK_SH | LOCK_NB));
    SEE(flock(a.get(), LOCK_EX | LOCK_NB));
    SEE(flock(b.get(), LOCK_UN));
    SEE(flock(a.get(), LOCK_EX | LOCK_NB));
    SEE(flock(b.get(), LOCK_SH | LOCK_NB));
    in_child([&] { SEE(flock(b.get(), LOCK_SH | LOCK_NB)); SEE(flock(a.get(), LOCK_UN)); });
    SEE(flock(b.get(), LOCK_EX | LOCK_NB));
    SEE(flock(a.get(), LOCK_SH | LOCK_NB));
    const UniqueFd directory = open_file(".", O_RDONLY);
    SEE(flock(directory.get(), LOCK_EX | LOCK_NB));
    SEE(flock(a.get(), 77));
}

void record_locks(int set, int get, const char* name) {
    make_file("f", 0644, std::string(1000, 'x'));
    const UniqueFd fd = open_file("f");
    struct flock lock = range(F_WRLCK, 100, 100);
    SEE_AS(printf_string("%s write lock", name), ::fcntl(fd.get(), set, &lock));
    in_child([&] {
        const UniqueFd own = open_file("f");
        for (const short type : {F_RDLCK, F_WRLCK}) {
            for (const off_t start : {0, 50, 150, 199, 200, 500}) {
                struct flock wanted = range(type, start, 100);
                SEE_AS(printf_string("%s type %d at %ld", name, type, start), ::fcntl(own.get(), set, &wanted));
                wanted = range(type, start, 100);
                SEE_AS("who", ::fcntl(own.get(), get, &wanted));
                say("in the way", printf_string("type %d %ld+%ld", wanted.l_type, wanted.l_start, wanted.l_len));
            }
        }
    });
    lock = range(F_UNLCK, 150, 10);
    SEE_AS("unlock a part", ::fcntl(fd.get(), set, &lock));
    in_child([&] {
        const UniqueFd own = open_file("f");
        struct flock wanted = range(F_WRLCK, 150, 10);
        SEE_AS("the part", ::fcntl(own.get(), set, &wanted));
        wanted = range(F_WRLCK, 140, 15);
        SEE_AS("more than the part", ::fcntl(own.get(), set, &wanted));
    });
}

void posix_locks() {
    record_locks(F_SETLK, F_GETLK, "posix");
    // Closing any descriptor of the file gives up all of the process's locks.
    const UniqueFd fd = open_file("f");
    struct flock lock = range(F_WRLCK, 0, 0);
    SEE_AS("lock all", ::fcntl(fd.get(), F_SETLK, &lock));
    ::close(::open("f", O_RDONLY));
    in_child([] {
        const UniqueFd own = open_file("f");
        struct flock wanted = range(F_WRLCK, 0, 0);
        SEE_AS("after a close", ::fcntl(own.get(), F_SETLK, &wanted));
    });
}

void description_locks() { record_locks(F_OFD_SETLK, F_OFD_GETLK, "ofd"); }

void waiting() {
    make_file("f");
    const UniqueFd fd = open_file("f");
    struct flock lock = range(F_WRLCK, 0, 10);
    SEE_AS("lock", ::fcntl(fd.get(), F_SETLK, &lock));
    const pid_t child = spawn([] {
        const UniqueFd own = open_file("f");
        struct flock wanted = range(F_WRLCK, 0, 10);
        make_file("waits");
        SEE_AS("waited for", ::fcntl(own.get(), F_SETLKW, &wanted));
    });
    while (::access("waits", F_OK) != 0) tick();
    lock = range(F_UNLCK, 0, 10);
    ::fcntl(fd.get(), F_SETLK, &lock);  // not told: it would race with what the child tells
    say("child", describe_status(wait_for(child)));
    SEE_AS("lock again", ::fcntl(fd.get(), F_SETLK, &(lock = range(F_WRLCK, 0, 10))));
    const pid_t interrupted = spawn([&] {
        struct flock own = range(F_WRLCK, 0, 10);
        const UniqueFd mine = open_file("f");
        struct sigaction action {};
        action.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &action, nullptr);
        make_file("waits too");
        ::alarm(1);
        SEE_AS("interrupted", ::fcntl(mine.get(), F_SETLKW, &own));
    });
    say("child", describe_status(wait_for(interrupted)));
}

void wrong_locks() {
    make_file("f");
    const UniqueFd reader = open_file("f", O_RDONLY), writer = open_file("f", O_WRONLY), path(::open("f", O_PATH));
    struct flock lock = range(F_WRLCK, 0, 0);
    SEE_AS("write lock by a reader", ::fcntl(reader.get(), F_SETLK, &lock));
    lock = range(F_RDLCK, 0, 0);
    SEE_AS("read lock by a writer", ::fcntl(writer.get(), F_SETLK, &lock));
    SEE_AS("by a path", ::fcntl(path.get(), F_SETLK, &lock));
    lock = range(F_RDLCK, -5, 0);
    SEE_AS("before the start", ::fcntl(reader.get(), F_SETLK, &lock));
    lock = range(77, 0, 0);
    SEE_AS("no type", ::fcntl(reader.get(), F_SETLK, &lock));
    SEE(flock(path.get(), LOCK_SH));
}

constexpr Case cases[] = {
    {"whole_files", whole_files}, {"posix_locks", posix_locks}, {"description_locks", description_locks},
    {"waiting", waiting}, {"wrong_locks", wrong_locks},
};

}  // namespace

extern const Topic lock_topic{"lock", cases};

}  // namespace holdfast::fidelity
