// POSIX ACLs: what they grant, what mode and ACL do to each other, what new objects inherit.
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/xattr.h>

#include <vector>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

constexpr const char* access_name = "system.posix_acl_access";
constexpr const char* default_name = "system.posix_acl_default";

struct Entry {
    uint16_t tag, permissions;
    uint32_t id;
};

std::string encoded(const std::vector<Entry>& entries) {
    std::string value;
    const posix_acl_xattr_header header{POSIX_ACL_XATTR_VERSION};
    value.append(reinterpret_cast<const char*>(&header), sizeof header);
    for (const Entry& entry : entries) {
        const posix_acl_xattr_entry raw{entry.tag, entry.permissions, entry.id};
        value.append(reinterpret_cast<const char*>(&raw), sizeof raw);
    }
    return value;
}

constexpr uint32_t none = static_cast<uint32_t>(ACL_UNDEFINED_ID);

std::vector<Entry> with_user(uint16_t owner, uint32_t uid, uint16_t user, uint16_t group, uint16_t mask, uint16_t other) {
    return {{ACL_USER_OBJ, owner, none}, {ACL_USER, user, uid}, {ACL_GROUP_OBJ, group, none}, {ACL_MASK, mask, none}, {ACL_OTHER, other, none}};
}

int set(const std::string& path, const char* name, const std::vector<Entry>& entries) {
    const std::string value = encoded(entries);
    return ::setxattr(path.c_str(), name, value.data(), value.size(), 0);
}

void see_acl(const std::string& path) {
    for (const char* name : {access_name, default_name}) {
        char value[1024];
        const ssize_t size = ::getxattr(path.c_str(), name, value, sizeof value);
        std::string text = size < 0 ? errno_name(errno) : "";
        for (ssize_t at = sizeof(posix_acl_xattr_header); at + static_cast<ssize_t>(sizeof(posix_acl_xattr_entry)) <= size; at += sizeof(posix_acl_xattr_entry)) {
            posix_acl_xattr_entry entry;
            memcpy(&entry, value + at, sizeof entry);
            text += printf_string("%x:%d:%o ", entry.e_tag, static_cast<int>(entry.e_id), entry.e_perm);
        }
        say(path + " " + name, text);
    }
    see_mode(path);
}

void granted() {
    for (const uint16_t mask : {7, 6, 4, 0}) {
        for (const uint16_t user : {7, 6, 4, 0}) {
            make_file("f", 0600, "contents");
            give("f", carol.uid, carol.gid);
            SEE_AS(printf_string("set user %o mask %o", user, mask), set("f", access_name, with_user(6, alice.uid, user, 0, mask, 0)));
            see_acl("f");
            for (const User* who : {&alice, &bob, &carol}) {
                as(*who, [] {
                    SEE_FD(open("f", O_RDONLY));
                    SEE_FD(open("f", O_WRONLY));
                    SEE(access("f", R_OK | W_OK));
                    SEE(access("f", X_OK));
                });
            }
            ::unlink("f");
        }
    }
}

void chmod_and_acl() {
    make_file("f", 0640);
    SEE_AS("set", set("f", access_name, with_user(6, alice.uid, 7, 5, 7, 1)));
    see_acl("f");
    for (const mode_t mode : {0700, 0777, 0640, 0000, 02755, 04711}) {
        SEE_AS(printf_string("chmod %o", mode), ::chmod("f", mode));
        see_acl("f");
    }
    // An ACL that says no more than a mode is dropped, and becomes the mode.
    SEE_AS("set a minimal one", set("f", access_name, {{ACL_USER_OBJ, 6, none}, {ACL_GROUP_OBJ, 4, none}, {ACL_OTHER, 0, none}}));
    see_acl("f");
    SEE_AS("set again", set("f", access_name, with_user(7, bob.uid, 4, 5, 5, 0)));
    SEE(removexattr("f", access_name));
    see_acl("f");
    SEE(removexattr("f", access_name));
    SEE(removexattr("f", default_name));
}

// An ACL set by somebody outside of the group clears the set-gid bit.
void acl_and_setgid() {
    make_file("f", 02770);
    give("f", alice.uid, bob.gid);
    ::chmod("f", 02770);
    as(alice, [] { SEE_AS("set", set("f", access_name, with_user(7, carol.uid, 4, 5, 5, 0))); });
    see_acl("f");
    ::chmod("f", 02770);
    SEE_AS("set by root", set("f", access_name, with_user(7, carol.uid, 6, 5, 5, 0)));
    see_acl("f");
}

void inherited() {
    for (const mode_t mask : {0022, 0077, 0000, 0777}) {
        const std::string top = printf_string("d%o", mask);
        make_directory(top, 0777);
        SEE_AS("set the default", set(top, default_name, with_user(7, alice.uid, 6, 5, 7, 4)));
        see_acl(top);
        ::umask(mask);
        for (const mode_t mode : {0777, 0666, 0600, 0000}) {
            const std::string name = printf_string("%s/%o", top.c_str(), mode);
            SEE_AS("mkdir", ::mkdir((name + "dir").c_str(), mode));
            SEE_FD_AS("open", ::open((name + "file").c_str(), O_CREAT | O_EXCL | O_RDWR, mode));
            SEE_AS("mkfifo", ::mkfifo((name + "fifo").c_str(), mode));
            SEE_AS("mknod", ::mknod((name + "node").c_str(), S_IFREG | mode, 0));
            SEE_AS("symlink", ::symlink("x", (name + "link").c_str()));
            for (const char* kind : {"dir", "file", "fifo", "node"}) see_acl(name + kind);
        }
        as(bob, [&] {
            ::umask(mask);
            SEE_FD_AS("open by bob", ::open((top + "/bob").c_str(), O_CREAT | O_RDWR, 0666));
            SEE_AS("mkdir by bob", ::mkdir((top + "/bobs").c_str(), 0777));
            const UniqueFd nameless(::open(top.c_str(), O_TMPFILE | O_RDWR, 0666));
            SEE_AS("link of a nameless one", ::linkat(AT_FDCWD, printf_string("/proc/self/fd/%d", nameless.get()).c_str(), AT_FDCWD, (top + "/nameless").c_str(), AT_SYMLINK_FOLLOW));
        });
        ::umask(022);
        for (const char* name : {"/bob", "/bobs", "/nameless"}) see_acl(top + name);
        SEE(removexattr(top.c_str(), default_name));
        make_directory(top + "/plain");
        see_acl(top + "/plain");
    }
}

void wrong_ones() {
    make_file("f");
    make_directory("d");
    ::symlink("f", "s");
    const std::vector<Entry> good = with_user(7, alice.uid, 4, 5, 5, 0);
    SEE_AS("default on a file", set("f", default_name, good));
    SEE_AS("no owner", set("f", access_name, {{ACL_GROUP_OBJ, 4, none}, {ACL_OTHER, 0, none}}));
    SEE_AS("no mask", set("f", access_name, {{ACL_USER_OBJ, 6, none}, {ACL_USER, 7, 5}, {ACL_GROUP_OBJ, 4, none}, {ACL_OTHER, 0, none}}));
    SEE_AS("wrong order", set("f", access_name, {{ACL_OTHER, 6, none}, {ACL_GROUP_OBJ, 4, none}, {ACL_USER_OBJ, 0, none}}));
    SEE_AS("too many bits", set("f", access_name, {{ACL_USER_OBJ, 15, none}, {ACL_GROUP_OBJ, 4, none}, {ACL_OTHER, 0, none}}));
    SEE_AS("unknown tag", set("f", access_name, {{0x99, 6, none}}));
    SEE_AS("empty", set("f", access_name, {}));
    SEE(setxattr("f", access_name, "", 0, 0));
    SEE(setxattr("f", access_name, "x", 1, 0));
    SEE(setxattr("f", access_name, "\x03\0\0\0", 4, 0));
    const std::string value = encoded(good);
    SEE_AS("cut off", ::setxattr("f", access_name, value.data(), value.size() - 3, 0));
    SEE_AS("on a link", ::lsetxattr("s", access_name, value.data(), value.size(), 0));
    SEE_AS("create", ::setxattr("f", access_name, value.data(), value.size(), XATTR_CREATE));
    SEE_AS("replace", ::setxattr("f", access_name, value.data(), value.size(), XATTR_REPLACE));
    as(bob, [&] {
        SEE_AS("by somebody else", set("f", access_name, good));
        SEE(removexattr("f", access_name));
        SEE_AS("default by somebody else", set("d", default_name, good));
    });
    see_acl("f");
    see_acl("d");
}

void many_entries() {
    make_file("f");
    for (const uint32_t count : {10u, 60u, 200u, 500u, 2000u}) {
        std::vector<Entry> entries{{ACL_USER_OBJ, 7, none}};
        for (uint32_t i = 0; i < count; ++i) entries.push_back({ACL_USER, 4, 80000 + i});
        entries.insert(entries.end(), {{ACL_GROUP_OBJ, 4, none}, {ACL_MASK, 7, none}, {ACL_OTHER, 0, none}});
        SEE_AS(printf_string("%u users", count), set("f", access_name, entries));
        SEE_AS("size", ::getxattr("f", access_name, nullptr, 0));
    }
}

constexpr Case cases[] = {
    {"granted", granted}, {"chmod_and_acl", chmod_and_acl}, {"acl_and_setgid", acl_and_setgid},
    {"inherited", inherited}, {"wrong_ones", wrong_ones}, {"many_entries", many_entries},
};

}  // namespace

extern const Topic acl_topic{"acl", cases};

}  // namespace holdfast::fidelity
