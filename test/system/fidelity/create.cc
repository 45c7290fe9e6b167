// Making objects: mkdir, mkfifo, mknod, symlink, bind; modes, umask, owners and groups of what comes out.
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

int bind_socket(const char* path) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    struct sockaddr_un address {};
    address.sun_family = AF_UNIX;
    std::string_view(path).copy(address.sun_path, sizeof address.sun_path - 1);
    const int outcome = ::bind(fd.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address);
    const int saved = errno;
    errno = saved;
    return outcome;
}

struct Maker {
    const char* name;
    int (*make)(const char* path, mode_t mode);
};

constexpr Maker makers[] = {
    {"file", [](const char* p, mode_t m) { const UniqueFd fd(::open(p, O_RDWR | O_CREAT | O_EXCL, m)); return fd ? 0 : -1; }},
    {"mkdir", [](const char* p, mode_t m) { return ::mkdir(p, m); }},
    {"mkfifo", [](const char* p, mode_t m) { return ::mkfifo(p, m); }},
    {"mknod-reg", [](const char* p, mode_t m) { return ::mknod(p, S_IFREG | m, 0); }},
    {"mknod-zero", [](const char* p, mode_t m) { return ::mknod(p, m, 0); }},
    {"mknod-fifo", [](const char* p, mode_t m) { return ::mknod(p, S_IFIFO | m, 0); }},
    {"mknod-sock", [](const char* p, mode_t m) { return ::mknod(p, S_IFSOCK | m, 0); }},
    {"mknod-char", [](const char* p, mode_t m) { return ::mknod(p, S_IFCHR | m, makedev(1, 3)); }},
    {"mknod-block", [](const char* p, mode_t m) { return ::mknod(p, S_IFBLK | m, makedev(7, 99)); }},
    {"mknod-dir", [](const char* p, mode_t m) { return ::mknod(p, S_IFDIR | m, 0); }},
    {"mknod-link", [](const char* p, mode_t m) { return ::mknod(p, S_IFLNK | m, 0); }},
    {"symlink", [](const char* p, mode_t) { return ::symlink("target", p); }},
    {"bind", [](const char* p, mode_t) { return bind_socket(p); }},
};

void modes_and_masks() {
    int number = 0;
    for (const mode_t mask : {0000, 0022, 0077, 0027, 0777, 0111}) {
        for (const mode_t mode : {0777, 0666, 0000, 01777, 02755, 04755, 07777, 0644}) {
            for (const Maker& maker : makers) {
                const std::string name = printf_string("o%d", number++);
                ::umask(mask);
                const int outcome = maker.make(name.c_str(), mode);
                const int error = errno;
                ::umask(022);
                struct stat st {};
                const bool have = outcome == 0 && ::lstat(name.c_str(), &st) == 0;
                say(printf_string("%s %o umask %o", maker.name, mode, mask),
                    have ? printf_string("%o nlink %lu", st.st_mode, static_cast<unsigned long>(st.st_nlink)) : errno_name(error));
            }
        }
    }
}

void make_all(const std::string& directory) {
    for (const Maker& maker : makers) {
        const std::string path = directory + "/" + maker.name;
        SEE_AS(std::string(maker.name) + " in " + directory, maker.make(path.c_str(), 0775));
    }
}

// Owner and group of a new object, in ordinary and set-gid directories, by root, a member and a stranger.
void owners() {
    for (const mode_t mode : {0777, 02777, 01777, 02775}) {
        for (const User* user : {&alice, &bob, &carol, static_cast<const User*>(nullptr)}) {
            const std::string directory = printf_string("%s%o", user != nullptr ? user->name : "root", mode);
            make_directory(directory);
            give(directory, 70009, shared_group);
            ::chmod(directory.c_str(), mode);
            if (user != nullptr) {
                as(*user, [&] { make_all(directory); });
            } else {
                make_all(directory);
            }
            for (const Maker& maker : makers) see_stat(directory + "/" + maker.name);
        }
    }
}

// A directory below a set-gid directory inherits the bit, and so on down.
void setgid_goes_down() {
    make_directory("top");
    give("top", alice.uid, shared_group);
    ::chmod("top", 02777);
    as(bob, [] {
        SEE(mkdir("top/a", 0755));
        SEE(mkdir("top/a/b", 0700));
        SEE(mkdir("top/a/b/c", 02000));
        SEE_FD(open("top/a/b/f", O_RDWR | O_CREAT, 02775));
        SEE_FD(open("top/a/b/g", O_RDWR | O_CREAT, 02755));
        SEE_FD(open("top/a/b/h", O_RDWR | O_CREAT, 06777));
        SEE_FD(open("top/a/b", O_RDWR | O_TMPFILE, 02775));
    });
    for (const char* path : {"top/a", "top/a/b", "top/a/b/c", "top/a/b/f", "top/a/b/g", "top/a/b/h"}) see_stat(path);
    as(carol, [] {
        SEE_FD(open("top/f", O_RDWR | O_CREAT, 02775));
        SEE_FD(open("top/g", O_RDWR | O_CREAT, 02755));
        SEE(mknod("top/n", S_IFREG | 02775, 0));
        SEE(mknod("top/p", S_IFIFO | 02775, 0));
    });
    for (const char* path : {"top/f", "top/g", "top/n", "top/p"}) see_stat(path);
    SEE_FD(open("top/by-root", O_RDWR | O_CREAT, 06775));
    see_stat("top/by-root");
}

// What exists already is EEXIST whatever it is.
void on_what_exists() {
    make_file("a-file");
    make_directory("a-dir");
    ::mkfifo("a-fifo", 0644);
    ::symlink("nowhere", "a-dangling-link");
    ::symlink("a-dir", "a-dir-link");
    for (const char* path : {"a-file", "a-dir", "a-fifo", "a-dangling-link", "a-dir-link", "a-file/x", "none/x", ".", ".."}) {
        for (const Maker& maker : makers) SEE_AS(printf_string("%s at %s", maker.name, path), maker.make(path, 0755));
    }
    make_directory("readonly", 0555);
    as(alice, [] {
        for (const Maker& maker : makers) {
            SEE_AS(printf_string("%s in a read-only directory", maker.name), maker.make("readonly/x", 0755));
        }
        SEE(mkdir("readonly", 0755));
        SEE(mkdir("readonly/.", 0755));
    });
}

// A user may make fifos and sockets but no device.
void devices_by_users() {
    make_directory("open", 0777);
    as(alice, [] {
        SEE(mknod("open/null", S_IFCHR | 0666, makedev(1, 3)));
        SEE(mknod("open/whiteout", S_IFCHR | 0666, makedev(0, 0)));
        SEE(mknod("open/loop", S_IFBLK | 0666, makedev(7, 0)));
        SEE(mknod("open/fifo", S_IFIFO | 0666, 0));
        SEE(mknod("open/sock", S_IFSOCK | 0666, 0));
    });
    see_names("open");
}

void device_numbers() {
    int number = 0;
    for (const unsigned major_number : {0u, 1u, 255u, 256u, 4095u}) {
        for (const unsigned minor_number : {0u, 3u, 255u, 256u, 65535u, 1048575u}) {
            const std::string name = printf_string("c%d", number++);
            SEE_AS("mknod", ::mknod(name.c_str(), S_IFCHR | 0600, makedev(major_number, minor_number)));
            see_stat(name);
        }
    }
}

constexpr Case cases[] = {
    {"modes_and_masks", modes_and_masks}, {"owners", owners},
    {"setgid_goes_down", setgid_goes_down}, {"on_what_exists", on_what_exists},
    {"devices_by_users", devices_by_users}, {"device_numbers", device_numbers},
};

}  // namespace

extern const Topic create_topic{"create", cases};

}  // namespace holdfast::fidelity
