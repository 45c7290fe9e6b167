// Who may do what: chmod and chown by owner, member, stranger and root; directories without some of their bits.
#include <sys/xattr.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

constexpr mode_t modes[] = {0000, 0644, 0755, 0777, 01777, 02755, 04755, 06777, 07777};

void chmod_by_everyone() {
    make_file("file");
    make_directory("dir");
    ::mkfifo("fifo", 0644);
    ::symlink("file", "link");
    for (const char* name : {"file", "dir", "fifo"}) {
        give(name, alice.uid, alice.gid);
        for (const mode_t mode : modes) {
            SEE_AS(printf_string("root %s %o", name, mode), ::chmod(name, mode));
            see_mode(name);
            as(alice, [&] { SEE_AS(printf_string("%s %o", name, mode), ::chmod(name, mode)); });
            see_mode(name);
            as(bob, [&] { SEE_AS(printf_string("%s %o", name, mode), ::chmod(name, mode)); });
            see_mode(name);
        }
    }
    SEE(chmod("link", 0700));
    see_mode("file");
    see_mode("link");
    SEE(fchmodat(AT_FDCWD, "link", 0700, AT_SYMLINK_NOFOLLOW));
    const UniqueFd fd = open_file("file", O_RDONLY);
    SEE(fchmod(fd.get(), 0751));
    see_mode("file");
}

// A member of the file's group keeps set-gid on chmod, others lose it silently.
void setgid_by_non_members() {
    for (const User& user : {alice, bob, carol}) {
        for (const char* kind : {"file", "dir"}) {
            const std::string name = std::string(user.name) + "-" + kind;
            if (kind[0] == 'f') {
                make_file(name);
            } else {
                make_directory(name);
            }
            give(name, user.uid, shared_group);
            as(user, [&] { SEE_AS("chmod 2775 " + name, ::chmod(name.c_str(), 02775)); });
            see_mode(name);
            as(user, [&] { SEE_AS("chmod 6755 " + name, ::chmod(name.c_str(), 06755)); });
            see_mode(name);
        }
    }
}

void chown_by_everyone() {
    struct Change { const char* name; uid_t uid; gid_t gid; };
    constexpr uid_t none = static_cast<uid_t>(-1);
    constexpr Change changes[] = {
        {"nothing", none, none},          {"own uid", alice.uid, none},    {"own gid", none, alice.gid},
        {"both own", alice.uid, alice.gid}, {"shared group", none, shared_group}, {"other uid", bob.uid, none},
        {"other gid", none, bob.gid},     {"both other", bob.uid, bob.gid}, {"root", 0, 0},
        {"own uid, shared group", alice.uid, shared_group}, {"other uid, shared group", bob.uid, shared_group},
    };
    for (const Change& change : changes) {
        for (const User* user : {&alice, &bob, &carol, static_cast<const User*>(nullptr)}) {
            make_file("f");
            ::chmod("f", 06755);
            give("f", alice.uid, alice.gid);
            ::chmod("f", 06755);
            const auto action = [&] { SEE_AS(std::string("chown ") + change.name, ::chown("f", change.uid, change.gid)); };
            if (user != nullptr) {
                as(*user, action);
            } else {
                action();
            }
            see_stat("f");
            ::unlink("f");
        }
    }
}

void chown_of_every_type() {
    make_file("file");
    make_directory("dir");
    ::mkfifo("fifo", 0644);
    ::symlink("file", "link");
    ::symlink("nowhere", "dangling");
    for (const char* name : {"file", "dir", "fifo", "link", "dangling"}) {
        SEE_AS(std::string("lchown ") + name, ::lchown(name, 1001, 1002));
        see_stat(name);
        SEE_AS(std::string("chown ") + name, ::chown(name, 1003, static_cast<gid_t>(-1)));
        see_stat(name);
    }
    see_stat("file");
    SEE(chown("file", 4000000000u, 4000000001u));
    see_stat("file");
    const UniqueFd fd = open_file("file", O_RDONLY);
    SEE(fchown(fd.get(), 5, 6));
    see_stat("file");
}

// A directory's three bits: list, change, search.
void directory_bits() {
    for (const mode_t mode : {0000, 0100, 0200, 0300, 0400, 0500, 0600, 0700}) {
        const std::string name = printf_string("d%03o", mode);
        make_directory(name);
        make_file(name + "/f", 0644, "x");
        make_directory(name + "/sub");
        for (const std::string& path : {name, name + "/f", name + "/sub"}) give(path, alice.uid, alice.gid);
        ::chmod(name.c_str(), mode);
        as(alice, [&] {
            see_names(name);
            see_stat(name + "/f");
            see_bytes(name + "/f");
            SEE_FD_AS("create in " + name, ::open((name + "/new").c_str(), O_RDWR | O_CREAT, 0644));
            SEE_AS("mkdir in " + name, ::mkdir((name + "/newdir").c_str(), 0755));
            SEE_AS("rename in " + name, ::rename((name + "/f").c_str(), (name + "/g").c_str()));
            SEE_AS("unlink in " + name, ::unlink((name + "/g").c_str()));
            SEE_AS("rmdir in " + name, ::rmdir((name + "/sub").c_str()));
            SEE_AS("chdir to " + name, ::chdir(name.c_str()));
        });
        see_names(name);
    }
}

// Permission is checked when the file is opened, not when it is used.
void checked_at_open() {
    make_file("f", 0666, "text");
    as(bob, [] {
        const UniqueFd fd = SEE_FD(open("f", O_RDWR));
        const UniqueFd reader = SEE_FD(open("f", O_RDONLY));
        SEE(fchmod(fd.get(), 0600));
        SEE(pwrite(fd.get(), "T", 1, 0));
        SEE(ftruncate(fd.get(), 2));
        SEE(ftruncate(reader.get(), 2));
        SEE(write(reader.get(), "x", 1));
        SEE(fsync(reader.get()));
    });
    give("f", alice.uid, alice.gid);
    const int status = in_child([] {
        const UniqueFd fd = open_file("f", O_RDWR);
        ::chmod("f", 0);
        as(bob, [&] {
            SEE(pwrite(fd.get(), "Y", 1, 0));
            char byte;
            SEE(pread(fd.get(), &byte, 1, 0));
            SEE(ftruncate(fd.get(), 1));
            SEE(fchmod(fd.get(), 0777));
            SEE(fchown(fd.get(), bob.uid, bob.gid));
            SEE(fsetxattr(fd.get(), "user.x", "1", 1, 0));
            SEE(fsync(fd.get()));
            SEE_FD(open(printf_string("/proc/self/fd/%d", fd.get()).c_str(), O_RDWR));
        });
    });
    say("child", describe_status(status));
    see_bytes("f");
    see_stat("f");
}

// access() asks for the real identity, faccessat(AT_EACCESS) for the effective one.
void access_with_two_identities() {
    make_file("f", 0600);
    in_child([] {
        if (::setresgid(0, alice.gid, alice.gid) != 0 || ::setresuid(0, alice.uid, 0) != 0) _exit(3);
        SEE(access("f", R_OK));
        SEE(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
        SEE_FD(open("f", O_RDONLY));
    });
    make_file("x", 0644);
    SEE(access("x", X_OK));
    SEE(chmod("x", 0744));
    SEE(access("x", X_OK));
    make_directory("d", 0000);
    SEE(access("d", R_OK | W_OK | X_OK));
    SEE(access("x", 1234));
}

// Changes by another process are seen at once: attributes are not cached longer than they are true.
void changes_are_seen_at_once() {
    make_directory("d", 0755);
    make_file("d/f", 0644, "x");
    give("d/f", alice.uid, alice.gid);
    as(bob, [] { see_bytes("d/f"); });
    SEE(chmod("d/f", 0600));
    as(bob, [] { see_bytes("d/f"); });
    SEE(chmod("d/f", 0644));
    SEE(chmod("d", 0700));
    as(bob, [] { see_bytes("d/f"); });
    SEE(chmod("d", 0755));
    as(bob, [] { see_bytes("d/f"); });
    SEE(chown("d/f", bob.uid, bob.gid));
    SEE(chmod("d/f", 0400));
    as(bob, [] { see_bytes("d/f"); });
    as(alice, [] { see_bytes("d/f"); });
}

constexpr Case cases[] = {
    {"chmod_by_everyone", chmod_by_everyone},
    {"setgid_by_non_members", setgid_by_non_members},
    {"chown_by_everyone", chown_by_everyone},
    {"chown_of_every_type", chown_of_every_type},
    {"directory_bits", directory_bits},
    {"checked_at_open", checked_at_open},
    {"access_with_two_identities", access_with_two_identities},
    {"changes_are_seen_at_once", changes_are_seen_at_once},
};

}  // namespace

extern const Topic permission_topic{"permission", cases};

}  // namespace holdfast::fidelity
