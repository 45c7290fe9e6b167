// rename: every kind onto every kind with every flag; trees, open files, permissions.
#include <stdio.h>

#include "test/system/fidelity/topics.h"

#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT (1 << 2)
#endif

namespace holdfast::fidelity {

namespace {

struct Kind {
    const char* name;
    void (*make)(const std::string& path);
};

constexpr Kind kinds[] = {
    {"file", [](const std::string& p) { make_file(p, 0644, p); }},
    {"empty-dir", [](const std::string& p) { make_directory(p); }},
    {"full-dir", [](const std::string& p) { make_directory(p); make_file(p + "/x"); }},
    {"symlink", [](const std::string& p) { ::symlink("nowhere", p.c_str()); }},
    {"fifo", [](const std::string& p) { ::mkfifo(p.c_str(), 0644); }},
    {"device", [](const std::string& p) { ::mknod(p.c_str(), S_IFCHR | 0600, 0x103); }},
    {"nothing", [](const std::string&) {}},
};

struct Flag {
    const char* name;
    unsigned value;
};
constexpr Flag flags[] = {
    {"0", 0},
    {"NOREPLACE", RENAME_NOREPLACE},
    {"EXCHANGE", RENAME_EXCHANGE},
    {"WHITEOUT", RENAME_WHITEOUT},
    {"NOREPLACE|EXCHANGE", RENAME_NOREPLACE | RENAME_EXCHANGE},
    {"NOREPLACE|WHITEOUT", RENAME_NOREPLACE | RENAME_WHITEOUT},
    {"EXCHANGE|WHITEOUT", RENAME_EXCHANGE | RENAME_WHITEOUT},
    {"8", 8},
};

std::string kind_of(const std::string& path) {
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) return errno_name(errno);
    return printf_string("%o/%lu", st.st_mode, static_cast<unsigned long>(st.st_nlink));
}

void onto_everything() {
    int number = 0;
    for (const Flag& flag : flags) {
        for (const Kind& from : kinds) {
            for (const Kind& to : kinds) {
                for (const bool same_parent : {true, false}) {
                    const std::string base = printf_string("%d", number++);
                    make_directory(base);
                    const std::string old_path = base + "/old";
                    const std::string new_path = same_parent ? base + "/new" : base + "/sub/new";
                    if (!same_parent) make_directory(base + "/sub");
                    from.make(old_path);
                    to.make(new_path);
                    const int outcome = ::renameat2(AT_FDCWD, old_path.c_str(), AT_FDCWD, new_path.c_str(), flag.value);
                    const std::string error = outcome == 0 ? "ok" : errno_name(errno);
                    say(printf_string("%s onto %s, %s%s", from.name, to.name, flag.name, same_parent ? "" : ", elsewhere"),
                        error + " old " + kind_of(old_path) + " new " + kind_of(new_path));
                }
            }
        }
    }
}

void same_object() {
    make_file("f", 0644, "x");
    SEE(rename("f", "f"));
    SEE(link("f", "g"));
    SEE(rename("f", "g"));
    see_names(".");
    SEE(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_NOREPLACE));
    SEE(renameat2(AT_FDCWD, "f", AT_FDCWD, "f", RENAME_EXCHANGE));
    SEE(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_EXCHANGE));
    see_names(".");
    make_directory("d");
    SEE(rename("d", "d"));
    SEE(rename("d/", "d"));
    SEE(rename("d", "e/"));
    SEE(rename("f", "h/"));
    SEE(rename("f/", "h"));
    SEE(rename("d/.", "x"));
    SEE(rename("d/..", "x"));
    SEE(rename("f", "."));
    SEE(rename(".", "f"));
    SEE(rename("..", "x"));
    see_names(".");
}

void into_itself() {
    make_directory("a");
    make_directory("a/b");
    make_directory("a/b/c");
    SEE(rename("a", "a/x"));
    SEE(rename("a", "a/b/x"));
    SEE(rename("a", "a/b/c"));
    SEE(rename("a/b/c", "a"));
    SEE(rename("a/b", "a"));
    SEE(renameat2(AT_FDCWD, "a", AT_FDCWD, "a/b", RENAME_EXCHANGE));
    SEE(renameat2(AT_FDCWD, "a/b", AT_FDCWD, "a", RENAME_EXCHANGE));
    SEE(renameat2(AT_FDCWD, "a/b/c", AT_FDCWD, "a/b", RENAME_EXCHANGE));
    SEE(rename("a/b/c", "c"));
    SEE(rename("a", "c/a"));
    see_names("c/a");
}

// The whole tree below moves; open files and descriptors go along.
void trees() {
    make_directory("from");
    make_directory("from/deep");
    make_file("from/deep/f", 0644, "text");
    const UniqueFd file = open_file("from/deep/f");
    const UniqueFd directory = open_file("from/deep", O_RDONLY | O_DIRECTORY);
    make_directory("to");
    SEE(rename("from", "to/here"));
    see_bytes("to/here/deep/f");
    see_stat("from/deep/f");
    SEE(pwrite(file.get(), "!", 1, 4));
    SEE_FD(openat(directory.get(), "g", O_RDWR | O_CREAT, 0644));
    see_names("to/here/deep");
    see_bytes("to/here/deep/f");
    make_directory("other");
    make_file("other/h");
    SEE(renameat2(AT_FDCWD, "other", AT_FDCWD, "to/here", RENAME_EXCHANGE));
    see_names("other");
    see_names("to/here");
    see_stat("to");
    see_stat(".");
}

void over_open_files() {
    make_file("new", 0644, "new contents");
    make_file("old", 0644, "old contents");
    const UniqueFd old_fd = open_file("old");
    const UniqueFd new_fd = open_file("new");
    SEE(rename("new", "old"));
    see_fstat("the replaced file", old_fd.get());
    see_fstat("the renamed file", new_fd.get());
    SEE(write(old_fd.get(), "still here", 10));
    SEE(ftruncate(old_fd.get(), 5));
    char buffer[20] = {};
    SEE(pread(old_fd.get(), buffer, sizeof buffer, 0));
    say("what the replaced file holds", buffer);
    see_bytes("old");
    SEE(fchmod(old_fd.get(), 0400));
    SEE(fsync(old_fd.get()));
    make_directory("dir");
    make_directory("dir2");
    const UniqueFd dir_fd = open_file("dir2", O_RDONLY | O_DIRECTORY);
    SEE(rename("dir", "dir2"));
    see_fstat("the replaced directory", dir_fd.get());
    SEE_FD(openat(dir_fd.get(), "x", O_RDWR | O_CREAT, 0644));
}

void permissions() {
    make_directory("mine");
    give("mine", alice.uid, alice.gid);
    make_directory("theirs");
    make_directory("open", 0777);
    make_file("mine/f");
    make_file("theirs/f", 0666);
    make_directory("mine/root-dir");
    make_directory("mine/root-dir/sub");
    make_directory("mine/own-dir");
    give("mine/own-dir", alice.uid, alice.gid);
    make_directory("open/target", 0700);
    as(alice, [] {
        SEE(rename("mine/f", "theirs/f"));
        SEE(rename("theirs/f", "mine/g"));
        SEE(rename("mine/f", "open/f"));
        // Moving a directory changes its "..", which takes write permission on it.
        SEE(rename("mine/root-dir", "mine/renamed"));
        SEE(rename("mine/renamed", "open/moved"));
        SEE(rename("mine/own-dir", "open/moved"));
        SEE(rename("open/moved", "open/target"));
        SEE(renameat2(AT_FDCWD, "mine/renamed", AT_FDCWD, "open/moved", RENAME_EXCHANGE));
        SEE(renameat2(AT_FDCWD, "open/f", AT_FDCWD, "mine/h", RENAME_WHITEOUT));
        SEE(renameat2(AT_FDCWD, "open/f", AT_FDCWD, "mine/h", RENAME_NOREPLACE));
    });
    for (const char* path : {"mine", "theirs", "open"}) see_names(path);
}

void whiteouts() {
    make_file("f", 0644, "f");
    make_file("g", 0644, "g");
    SEE(renameat2(AT_FDCWD, "f", AT_FDCWD, "moved", RENAME_WHITEOUT));
    see_stat("f");
    SEE(renameat2(AT_FDCWD, "g", AT_FDCWD, "moved", RENAME_WHITEOUT));
    see_stat("g");
    see_bytes("moved");
    SEE(rename("f", "f2"));
    SEE(unlink("g"));
    see_names(".");
}

// Two processes renaming back and forth never leave a moment without the name.
void name_always_there() {
    make_file("name", 0644, "1");
    const pid_t writer = spawn([] {
        for (int i = 0; i < 500; ++i) {
            make_file("next", 0644, "2");
            ::rename("next", "name");
        }
    });
    int missing = 0;
    for (int i = 0; i < 2000; ++i) {
        const UniqueFd fd(::open("name", O_RDONLY));
        if (!fd) ++missing;
    }
    say("writer", describe_status(wait_for(writer)));
    say("moments without the name", missing);
}

constexpr Case cases[] = {
    {"onto_everything", onto_everything}, {"same_object", same_object},
    {"into_itself", into_itself},         {"trees", trees},
    {"over_open_files", over_open_files}, {"permissions", permissions},
    {"whiteouts", whiteouts},             {"name_always_there", name_always_there},
};

}  // namespace

extern const Topic rename_topic{"rename", cases};

}  // namespace holdfast::fidelity
