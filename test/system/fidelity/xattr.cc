// Extended attributes: names, values, lists, flags, and who may.
#include <string.h>
#include <sys/xattr.h>

#include <algorithm>
#include <vector>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void see_list(const char* path) {
    std::vector<char> names(65536);
    const ssize_t size = ::llistxattr(path, names.data(), names.size());
    if (size < 0) return say(printf_string("xattrs of %s", path), errno_name(errno));
    std::vector<std::string> sorted;
    for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(strlen(names.data() + at)) + 1) sorted.emplace_back(names.data() + at);
    std::sort(sorted.begin(), sorted.end());
    std::string text;
    for (const std::string& name : sorted) text += name + " ";
    say(printf_string("xattrs of %s", path), text);
    SEE_AS("size of the list", ::llistxattr(path, nullptr, 0));
}

constexpr const char* kinds[] = {"file", "dir", "fifo", "link"};

void make_kinds() {
    make_file("file");
    make_directory("dir");
    ::mkfifo("fifo", 0644);
    ::symlink("nowhere", "link");
}

void name_spaces() {
    make_kinds();
    for (const char* kind : kinds) {
        for (const char* name : {"user.a", "trusted.a", "security.a", "system.a", "os2.a", "a", "user", "user.", ".a", "", "USER.a", "user.a b", "user.\xff"}) {
            SEE_AS(printf_string("set %s on %s", name, kind), ::lsetxattr(kind, name, "value", 5, 0));
            char value[16];
            SEE_AS(printf_string("get %s of %s", name, kind), ::lgetxattr(kind, name, value, sizeof value));
        }
        see_list(kind);
        for (const char* name : {"user.a", "trusted.a", "security.a", "user.none", "system.a"}) {
            SEE_AS(printf_string("remove %s of %s", name, kind), ::lremovexattr(kind, name));
        }
        see_list(kind);
    }
}

void flags_and_sizes() {
    make_file("f");
    SEE(setxattr("f", "user.x", "1", 1, XATTR_REPLACE));
    SEE(setxattr("f", "user.x", "1", 1, XATTR_CREATE));
    SEE(setxattr("f", "user.x", "2", 1, XATTR_CREATE));
    SEE(setxattr("f", "user.x", "3", 1, XATTR_REPLACE));
    SEE(setxattr("f", "user.x", "4", 1, XATTR_REPLACE | XATTR_CREATE));
    SEE(setxattr("f", "user.x", "4", 1, 4));
    char value[4];
    SEE(getxattr("f", "user.x", value, 0));
    SEE(setxattr("f", "user.x", "12345678", 8, 0));
    SEE(getxattr("f", "user.x", value, sizeof value));
    SEE(getxattr("f", "user.x", nullptr, 0));
    SEE(listxattr("f", value, sizeof value));
    SEE(setxattr("f", "user.empty", "", 0, 0));
    SEE(getxattr("f", "user.empty", value, sizeof value));
    SEE(setxattr("f", "user.null", nullptr, 0, 0));
    SEE(getxattr("f", "user.null", value, sizeof value));
    SEE(removexattr("f", "user.empty"));
    SEE(removexattr("f", "user.empty"));
    see_list("f");
}

void long_names() {
    make_file("f");
    for (const size_t length : {1u, 100u, 249u, 250u, 251u, 255u, 300u}) {
        const std::string name = "user." + std::string(length, 'n');
        SEE_AS(printf_string("set a name of %zu", name.size()), ::setxattr("f", name.c_str(), "v", 1, 0));
        SEE_AS(printf_string("remove a name of %zu", name.size()), ::removexattr("f", name.c_str()));
    }
}

// The largest values differ between file systems, not between a file system and the filter on it. Each is set where none
// is: a value that replaces another must on btrfs fit into the leaf of metadata as the neighbours have filled it, and who
// the neighbours are is no property of the file (16,000 bytes after 8,000: ENOSPC or not).
void large_values() {
    make_file("f");
    for (const size_t size : {100u, 1000u, 2000u, 3000u, 3800u, 4000u, 4096u, 8000u, 16000u, 40000u, 65535u, 65536u, 65537u, 100000u}) {
        const std::string value(size, 'v');
        ::removexattr("f", "user.big");
        SEE_AS(printf_string("set %zu bytes", size), ::setxattr("f", "user.big", value.data(), value.size(), 0));
        std::vector<char> back(200000);
        const ssize_t got = SEE_AS(printf_string("get after %zu bytes", size), ::getxattr("f", "user.big", back.data(), back.size()));
        if (got > 0) say("as it was written", std::string_view(back.data(), static_cast<size_t>(got)) == std::string_view(value).substr(0, static_cast<size_t>(got)));
    }
}

void many() {
    make_file("f");
    int made = 0;
    for (int i = 0; i < 60; ++i) made += ::setxattr("f", printf_string("user.number%d", i).c_str(), "0123456789", 10, 0) == 0;
    say("made", made);
    see_list("f");
    for (int i = 0; i < 60; i += 2) ::removexattr("f", printf_string("user.number%d", i).c_str());
    see_list("f");
}

void who_may() {
    for (const mode_t mode : {0644, 0666, 0600, 0444, 0000}) {
        make_file("f", 0644);
        make_directory("d");
        make_directory("sticky");
        for (const char* path : {"f", "d", "sticky"}) {
            ::setxattr(path, "user.x", "v", 1, 0);
            ::setxattr(path, "trusted.x", "v", 1, 0);
            ::setxattr(path, "security.x", "v", 1, 0);
            give(path, alice.uid, shared_group);
            ::chmod(path, path[0] == 'f' ? mode : mode | 0111);
        }
        ::chmod("sticky", 01777);
        for (const User* user : {&alice, &bob, &carol}) {
            as(*user, [mode] {
                char value[8];
                for (const char* path : {"f", "d", "sticky"}) {
                    for (const char* name : {"user.x", "trusted.x", "security.x", "user.none"}) {
                        SEE_AS(printf_string("get %s of %s, mode %o", name, path, mode), ::getxattr(path, name, value, sizeof value));
                        SEE_AS(printf_string("set %s of %s, mode %o", name, path, mode), ::setxattr(path, name, "w", 1, 0));
                        SEE_AS(printf_string("remove %s of %s, mode %o", name, path, mode), ::removexattr(path, name));
                    }
                    see_list(path);
                }
            });
        }
        ::unlink("f");
        ::rmdir("d");
        ::rmdir("sticky");
    }
}

void by_descriptor_and_path() {
    make_file("f");
    ::symlink("f", "link");
    const UniqueFd fd = open_file("f", O_RDONLY);
    const UniqueFd path(::open("f", O_PATH));
    char value[8];
    SEE(fsetxattr(fd.get(), "user.x", "v", 1, 0));
    SEE(fsetxattr(path.get(), "user.x", "v", 1, 0));
    SEE(fgetxattr(path.get(), "user.x", value, sizeof value));
    SEE(flistxattr(fd.get(), nullptr, 0));
    SEE(setxattr("link", "user.y", "w", 1, 0));
    SEE(lsetxattr("link", "user.z", "w", 1, 0));
    SEE(lsetxattr("link", "trusted.z", "w", 1, 0));
    see_list("f");
    see_list("link");
    SEE(getxattr("none", "user.x", value, sizeof value));
    SEE(getxattr("f/x", "user.x", value, sizeof value));
    SEE(link("f", "g"));
    SEE(getxattr("g", "user.y", value, sizeof value));
    SEE(rename("g", "h"));
    see_list("h");
    SEE(unlink("f"));
    SEE(fgetxattr(fd.get(), "user.x", value, sizeof value));
    SEE(fsetxattr(fd.get(), "user.x", "late", 4, 0));
    see_list("h");
}

constexpr Case cases[] = {
    {"name_spaces", name_spaces}, {"flags_and_sizes", flags_and_sizes}, {"long_names", long_names}, {"large_values", large_values},
    {"many", many}, {"who_may", who_may}, {"by_descriptor_and_path", by_descriptor_and_path},
};

}  // namespace

extern const Topic xattr_topic{"xattr", cases};

}  // namespace holdfast::fidelity
