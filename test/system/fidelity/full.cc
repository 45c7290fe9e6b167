// A full file system. Runs only when it is asked for by name, on a file system of its own: it fills it.
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

// Until nothing more fits; how much that was differs from run to run and is not said.
void fill(const char* path) {
    const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT);
    const std::string bytes(1 << 16, 'f');
    for (size_t size = bytes.size(); size > 0; size = size > 512 ? size / 2 : 0) {
        while (::write(fd.get(), bytes.data(), size) == static_cast<ssize_t>(size)) {
        }
    }
    ::fsync(fd.get());
}

// The space of a deleted file is free when nobody has the file any more, the kernel included, and on the mount that is a
// moment later: RELEASE and FORGET are messages that nobody waits for. btrfs refuses writes until then, even one into
// bytes that the file has, because it never writes in place.
void await_space(const char* path) {
    constexpr unsigned long enough_bytes = 64 << 20;
    struct statvfs now {};
    for (int tries = 0; tries < 500; ++tries) {
        ::sync();
        if (::statvfs(path, &now) == 0 && now.f_bavail * now.f_frsize >= enough_bytes) return;
        const struct timespec pause{0, 20'000'000};
        ::nanosleep(&pause, nullptr);
    }
    say("space after the deletion", "none");
}

void what_still_works() {
    make_file("small", 0644, "contents");
    make_directory("d");
    ::setxattr("small", "user.x", "v", 1, 0);
    fill("filler");
    const UniqueFd fd = open_file("small");
    const std::string bytes(1 << 20, 'n');
    SEE(pwrite(fd.get(), "overwrite", 8, 0));
    SEE(pwrite(fd.get(), bytes.data(), bytes.size(), 1 << 20) > 0 ? 1 : -1);
    SEE(fallocate(fd.get(), 0, 0, 64 << 20));
    SEE(ftruncate(fd.get(), 4));
    SEE(chmod("small", 0600));
    SEE(rename("small", "renamed"));
    SEE(link("renamed", "linked"));
    SEE(unlink("linked"));
    SEE(rmdir("d"));
    SEE(unlink("filler"));
    SEE(syncfs(fd.get()));
    await_space(".");
    SEE(pwrite(fd.get(), "again", 5, 0));
    see_bytes("renamed");
}

constexpr Case cases[] = {{"what_still_works", what_still_works}};

}  // namespace

extern const Topic full_topic{"full", cases};

}  // namespace holdfast::fidelity
