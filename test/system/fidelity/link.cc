// link, unlink, rmdir and the link counts that follow.
#include <dirent.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void counts() {
    make_file("a", 0644, "shared");
    SEE(link("a", "b"));
    make_directory("d");
    SEE(link("a", "d/c"));
    for (const char* path : {"a", "b", "d/c"}) see_stat(path);
    SEE(chmod("b", 0600));
    SEE(truncate("d/c", 3));
    see_stat("a");
    see_bytes("b");
    SEE(unlink("a"));
    see_stat("b");
    SEE(link("b", "b"));
    SEE(link("b", "d/c"));
    SEE(rename("b", "d/c"));
    see_stat("d/c");
    see_stat("b");
    SEE(unlink("b"));
    see_stat("d/c");
}

void directory_counts() {
    make_directory("d");
    see_stat("d");
    SEE(mkdir("d/1", 0755));
    SEE(mkdir("d/2", 0755));
    make_file("d/f");
    see_stat("d");
    SEE(rmdir("d/1"));
    see_stat("d");
    make_directory("e");
    SEE(rename("d/2", "e/2"));
    see_stat("d");
    see_stat("e");
    const UniqueFd open_one = open_file("e/2", O_RDONLY | O_DIRECTORY);
    SEE(rmdir("e/2"));
    see_fstat("the removed directory", open_one.get());
    see_stat("e");
}

void of_every_type() {
    ::symlink("nowhere", "symlink");
    ::mkfifo("fifo", 0644);
    ::mknod("sock", S_IFSOCK | 0644, 0);
    ::mknod("null", S_IFCHR | 0644, 0x103);
    make_directory("dir");
    for (const std::string name : {"symlink", "fifo", "sock", "null", "dir"}) {
        SEE_AS("link of " + name, ::link(name.c_str(), (name + "2").c_str()));
        SEE_AS("link following of " + name, ::linkat(AT_FDCWD, name.c_str(), AT_FDCWD, (name + "3").c_str(), AT_SYMLINK_FOLLOW));
        see_stat(name);
        see_stat(name + "2");
        SEE_AS("unlink of " + name, ::unlink(name.c_str()));
        SEE_AS("rmdir of " + name, ::rmdir(name.c_str()));
        see_stat(name + "2");
    }
}

void errors() {
    make_file("f");
    make_directory("d");
    make_directory("full");
    make_file("full/x");
    SEE(link("f", "f"));
    SEE(link("f", "d"));
    SEE(link("f", "d/"));
    SEE(link("d", "x"));
    SEE(link("f", "none/x"));
    SEE(link("f", "f/x"));
    SEE(linkat(AT_FDCWD, "f", AT_FDCWD, "x", 12345));
    SEE(linkat(AT_FDCWD, "", AT_FDCWD, "x", AT_EMPTY_PATH));
    SEE(unlink("d"));
    SEE(unlink("full"));
    SEE(rmdir("full"));
    SEE(rmdir("f"));
    SEE(rmdir("d/."));
    SEE(rmdir("full/.."));
    SEE(rmdir("."));
    SEE(rmdir(".."));
    SEE(rmdir("/"));
    SEE(unlink("f/"));
    SEE(unlink("."));
    SEE(link("/proc/self/stat", "x"));
    SEE(link("f", "/tmp/../proc/x"));
    SEE(rename("f", "/proc/x"));
    SEE(rmdir("d"));
    SEE(rmdir("d"));
}

// The parent's permissions decide, not the file's.
void permissions() {
    make_directory("mine");
    give("mine", alice.uid, alice.gid);
    make_file("mine/of-root", 0600);
    make_directory("roots");
    make_file("roots/of-alice", 0666);
    give("roots/of-alice", alice.uid, alice.gid);
    make_directory("open", 0777);
    make_file("open/of-root", 0666);
    make_file("open/unreadable", 0600);
    as(alice, [] {
        SEE(unlink("mine/of-root"));
        SEE(unlink("roots/of-alice"));
        SEE(link("roots/of-alice", "mine/linked"));
        SEE(link("roots/of-alice", "roots/linked"));
        SEE(link("open/of-root", "mine/root-linked"));
        SEE(link("open/unreadable", "mine/unreadable"));
        SEE(rename("open/unreadable", "mine/unreadable"));
        SEE(rmdir("mine"));
        SEE(unlink("open/of-root"));
    });
    see_names("mine");
    make_directory("unsearchable", 0666);
    make_file("unsearchable/f", 0666);
    as(bob, [] {
        SEE(unlink("unsearchable/f"));
        SEE(link("unsearchable/f", "open/f"));
        SEE(access("unsearchable/f", F_OK));
    });
}

// Opening through /proc/self/fd links an open file again, also one that has other names only.
void through_descriptors() {
    make_file("f", 0644, "text");
    const UniqueFd fd = open_file("f");
    const std::string self = printf_string("/proc/self/fd/%d", fd.get());
    SEE_AS("linkat through /proc", ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
    SEE(linkat(fd.get(), "", AT_FDCWD, "h", AT_EMPTY_PATH));
    see_stat("h");
    SEE(unlink("f"));
    SEE(unlink("g"));
    SEE(unlink("h"));
    SEE_AS("linkat of an unlinked file", ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, "i", AT_SYMLINK_FOLLOW));
    see_fstat("unlinked", fd.get());
}

void many_links() {
    make_file("f");
    int made = 0;
    for (int i = 0; i < 1000; ++i) made += ::link("f", printf_string("l%d", i).c_str()) == 0 ? 1 : 0;
    say("links made", made);
    see_stat("f");
    for (int i = 0; i < 1000; i += 2) made -= ::unlink(printf_string("l%d", i).c_str()) == 0 ? 1 : 0;
    say("links left", made);
    see_stat("f");
}

// A directory that somebody works in can be removed; nothing works in it afterwards.
void removed_working_directory() {
    make_directory("d");
    SEE(chdir("d"));
    SEE(rmdir("../d"));
    SEE_FD(open("x", O_RDWR | O_CREAT, 0644));
    SEE(mkdir("x", 0755));
    SEE(symlink("x", "y"));
    SEE(rename("x", "y"));
    see_names(".");
    see_stat(".");
    struct stat st;
    SEE(stat("..", &st));
    SEE(chmod(".", 0700));
    char buffer[256];
    SEE(getcwd(buffer, sizeof buffer) == nullptr ? -1 : 0);
}

constexpr Case cases[] = {
    {"counts", counts},
    {"directory_counts", directory_counts},
    {"of_every_type", of_every_type},
    {"errors", errors},
    {"permissions", permissions},
    {"through_descriptors", through_descriptors},
    {"many_links", many_links},
    {"removed_working_directory", removed_working_directory},
};

}  // namespace

extern const Topic link_topic{"link", cases};

}  // namespace holdfast::fidelity
