// Every call that takes a path, against every kind of path, by root and by a user: one table times another.
#include <dirent.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include <vector>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

struct Call {
    const char* name;
    long (*perform)(const char* path);
};

long close_if_open(int fd) {
    const int saved = errno;
    if (fd >= 0) ::close(fd);
    errno = saved;
    return fd >= 0 ? 0 : -1;
}

const struct timespec some_times[2] = {{1000, 1}, {2000, 2}};
char scratch[4096];

constexpr Call calls[] = {
    {"open", [](const char* p) { return close_if_open(::open(p, O_RDONLY | O_NONBLOCK)); }},
    {"open-write", [](const char* p) { return close_if_open(::open(p, O_WRONLY | O_NONBLOCK)); }},
    {"open-creat", [](const char* p) { return close_if_open(::open(p, O_RDWR | O_CREAT | O_NONBLOCK, 0644)); }},
    {"open-excl", [](const char* p) { return close_if_open(::open(p, O_RDWR | O_CREAT | O_EXCL, 0644)); }},
    {"open-trunc", [](const char* p) { return close_if_open(::open(p, O_RDWR | O_TRUNC | O_NONBLOCK)); }},
    {"open-nofollow", [](const char* p) { return close_if_open(::open(p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)); }},
    {"open-directory", [](const char* p) { return close_if_open(::open(p, O_RDONLY | O_DIRECTORY)); }},
    {"open-path", [](const char* p) { return close_if_open(::open(p, O_PATH)); }},
    {"open-path-nofollow", [](const char* p) { return close_if_open(::open(p, O_PATH | O_NOFOLLOW)); }},
    {"mkdir", [](const char* p) -> long { return ::mkdir(p, 0755); }},
    {"rmdir", [](const char* p) -> long { return ::rmdir(p); }},
    {"unlink", [](const char* p) -> long { return ::unlink(p); }},
    {"symlink", [](const char* p) -> long { return ::symlink("target", p); }},
    {"readlink", [](const char* p) -> long { return ::readlink(p, scratch, sizeof scratch); }},
    {"link-from", [](const char* p) -> long { return ::link(p, "new-link"); }},
    {"link-follow", [](const char* p) -> long { return ::linkat(AT_FDCWD, p, AT_FDCWD, "new-link", AT_SYMLINK_FOLLOW); }},
    {"link-to", [](const char* p) -> long { return ::link("spare", p); }},
    {"rename-from", [](const char* p) -> long { return ::rename(p, "new-name"); }},
    {"rename-to", [](const char* p) -> long { return ::rename("spare", p); }},
    {"rename-dir-to", [](const char* p) -> long { return ::rename("spare-dir", p); }},
    {"mkfifo", [](const char* p) -> long { return ::mkfifo(p, 0644); }},
    {"mknod", [](const char* p) -> long { return ::mknod(p, S_IFREG | 0644, 0); }},
    {"chmod", [](const char* p) -> long { return ::chmod(p, 0755); }},
    {"chown", [](const char* p) -> long { return ::chown(p, -1, -1); }},
    {"chown-group", [](const char* p) -> long { return ::chown(p, -1, ::getegid()); }},
    {"lchown", [](const char* p) -> long { return ::lchown(p, -1, -1); }},
    {"truncate", [](const char* p) -> long { return ::truncate(p, 10); }},
    {"utimensat", [](const char* p) -> long { return ::utimensat(AT_FDCWD, p, some_times, 0); }},
    {"utimensat-nofollow",
     [](const char* p) -> long { return ::utimensat(AT_FDCWD, p, some_times, AT_SYMLINK_NOFOLLOW); }},
    {"utimensat-now", [](const char* p) -> long { return ::utimensat(AT_FDCWD, p, nullptr, 0); }},
    {"stat", [](const char* p) -> long { struct stat st; return ::stat(p, &st); }},
    {"lstat", [](const char* p) -> long { struct stat st; return ::lstat(p, &st); }},
    {"statfs", [](const char* p) -> long { struct statfs st; return ::statfs(p, &st); }},
    {"access-exists", [](const char* p) -> long { return ::access(p, F_OK); }},
    {"access-read", [](const char* p) -> long { return ::access(p, R_OK); }},
    {"access-write", [](const char* p) -> long { return ::access(p, W_OK); }},
    {"access-execute", [](const char* p) -> long { return ::access(p, X_OK); }},
    {"getxattr", [](const char* p) -> long { return ::getxattr(p, "user.one", scratch, sizeof scratch); }},
    {"lgetxattr", [](const char* p) -> long { return ::lgetxattr(p, "user.one", scratch, sizeof scratch); }},
    {"setxattr", [](const char* p) -> long { return ::setxattr(p, "user.one", "1", 1, 0); }},
    {"lsetxattr", [](const char* p) -> long { return ::lsetxattr(p, "user.one", "1", 1, 0); }},
    {"removexattr", [](const char* p) -> long { return ::removexattr(p, "user.one"); }},
};

struct Kind {
    const char* name;
    std::string path;
};

std::vector<Kind> kinds() {
    const std::string long_name(255, 'n'), too_long_name(256, 'n');
    std::string long_path = "dir";
    while (long_path.size() + 2 <= 4094) long_path += "/.";
    return {
        {"a file", "file"},
        {"a directory", "dir"},
        {"a directory with an entry", "full"},
        {"a link to a file", "to-file"},
        {"a link to a directory", "to-dir"},
        {"a dangling link", "dangling"},
        {"a link to itself", "self"},
        {"a fifo", "fifo"},
        {"nothing", "missing"},
        {"the empty path", ""},
        {"below nothing", "missing/x"},
        {"below a file", "file/x"},
        {"below a link to itself", "self/x"},
        {"below a dangling link", "dangling/x"},
        {"through a link to a directory", "to-dir/new"},
        {"below a closed directory", "closed/file"},
        {"new below a closed directory", "closed/new"},
        {"new below an unwritable directory", "unwritable/new"},
        {"an entry of an unwritable directory", "unwritable/file"},
        {"a file and a slash", "file/"},
        {"a directory and a slash", "dir/"},
        {"nothing and a slash", "missing/"},
        {"a link to a directory and a slash", "to-dir/"},
        {"a dangling link and a slash", "dangling/"},
        {"dot", "."},
        {"dot dot", ".."},
        {"dot in a directory", "dir/."},
        {"dot dot in a full directory", "full/sub/.."},
        {"the longest name", long_name},
        {"a name too long", too_long_name},
        {"a name too long below a file", "file/" + too_long_name},
        {"the longest path", long_path},
        {"a path too long", long_path + "/././."},
    };
}

struct Object {
    const char* name;
    void (*make)();
};

constexpr Object objects[] = {
    {"file", [] { make_file("file", 0644, "contents"); }},
    {"spare", [] { make_file("spare", 0644, "spare"); }},
    {"spare-dir", [] { make_directory("spare-dir"); }},
    {"dir", [] { make_directory("dir"); }},
    {"full", [] { make_directory("full"); }},
    {"full/sub", [] { make_directory("full/sub"); }},
    {"closed", [] { make_directory("closed"); }},
    {"closed/file", [] { make_file("closed/file"); }},
    {"unwritable", [] { make_directory("unwritable"); }},
    {"unwritable/file", [] { make_file("unwritable/file"); }},
    {"to-file", [] { ::symlink("file", "to-file"); }},
    {"to-dir", [] { ::symlink("dir", "to-dir"); }},
    {"dangling", [] { ::symlink("none", "dangling"); }},
    {"self", [] { ::symlink("self", "self"); }},
    {"fifo", [] { ::mkfifo("fifo", 0644); }},
};

// Only what the combination can touch: there are thousands of combinations.
bool is_needed(const std::string& object, const std::string& path, const std::string& call) {
    const std::string top = path.substr(0, path.find('/'));
    const std::string own = object.substr(0, object.find('/'));
    if (own == top) return true;
    if (own == "file") return top == "to-file";
    if (own == "dir") return top == "to-dir";
    if (own == "spare") return call == "link-to" || call == "rename-to";
    return own == "spare-dir" && call == "rename-dir-to";
}

// Every combination starts from the same objects.
void make_objects(const std::string& path, const std::string& call, const User* owner) {
    if (owner != nullptr) give(".", owner->uid, owner->gid);
    for (const Object& object : objects) {
        if (!is_needed(object.name, path, call)) continue;
        object.make();
        if (owner != nullptr) give(object.name, owner->uid, owner->gid);
    }
    ::chmod("closed", 0600);
    ::chmod("unwritable", 0555);
}

void each(const User* actor, const User* owner, const char* prefix) {
    int kind_number = 0;
    for (const Kind& kind : kinds()) {
        std::vector<std::string> directories;
        for (const Call& call : calls) {
            directories.push_back(printf_string("%s%d-%s", prefix, kind_number, call.name));
            make_directory(directories.back(), 0755);
            if (::chdir(directories.back().c_str()) != 0) return say("chdir", errno_name(errno));
            make_objects(kind.path, call.name, owner);
            if (::chdir("..") != 0) return say("chdir ..", errno_name(errno));
        }
        const auto perform_all = [&] {
            for (size_t i = 0; i < std::size(calls); ++i) {
                if (::chdir(directories[i].c_str()) != 0) return say("chdir", errno_name(errno));
                SEE_AS(std::string(calls[i].name) + " of " + kind.name, calls[i].perform(kind.path.c_str()));
                if (::chdir("..") != 0) return say("chdir ..", errno_name(errno));
            }
        };
        if (actor != nullptr) {
            as(*actor, perform_all);
        } else {
            perform_all();
        }
        ++kind_number;
    }
}

void by_root() { each(nullptr, nullptr, "r"); }
void by_owner() { each(&alice, &alice, "a"); }
void by_stranger() { each(&bob, nullptr, "b"); }

// A chain of links may be forty long.
void link_chains() {
    make_file("link0");
    for (int i = 1; i <= 45; ++i) {
        if (::symlink(printf_string("link%d", i - 1).c_str(), printf_string("link%d", i).c_str()) != 0) {
            say("symlink", errno_name(errno));
        }
    }
    for (const int length : {1, 39, 40, 41, 45}) {
        const std::string name = printf_string("link%d", length);
        SEE_FD_AS("open through " + name, ::open(name.c_str(), O_RDONLY));
        SEE_AS("truncate through " + name, ::truncate(name.c_str(), 5));
    }
    ::symlink("b", "a");
    ::symlink("a", "b");
    SEE_FD(open("a", O_RDONLY));
    SEE_FD(open("a", O_RDWR | O_CREAT, 0644));
    SEE_FD(open("a/x", O_RDONLY));
    SEE(chmod("a", 0644));
}

// Creating through a dangling link makes the target, except with O_EXCL.
void creation_through_links() {
    SEE(symlink("made", "dangling"));
    SEE_FD(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644));
    see_stat("made");
    SEE_FD(open("dangling", O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
    SEE_FD(open("dangling", O_RDWR | O_CREAT, 0640));
    see_stat("made");
    SEE(symlink("no-such/made", "further"));
    SEE_FD(open("further", O_RDWR | O_CREAT, 0644));
    SEE(mkdir("dangling", 0755));
    SEE(unlink("made"));
    SEE(mkdir("dangling", 0755));
}

constexpr Case cases[] = {
    {"by_root", by_root},         {"by_owner", by_owner},
    {"by_stranger", by_stranger}, {"link_chains", link_chains},
    {"creation_through_links", creation_through_links},
};

}  // namespace

extern const Topic path_topic{"path", cases};

}  // namespace holdfast::fidelity
