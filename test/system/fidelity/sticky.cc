// Sticky directories: who may delete and rename what, over every combination of owners.
#include <stdio.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

struct Action {
    const char* name;
    int (*perform)();
};

// Each works in the directory "d", on "victim", with "own" a thing of the actor's and "plain" a second directory.
constexpr Action actions[] = {
    {"unlink", [] { return ::unlink("d/victim"); }},
    {"rmdir", [] { return ::rmdir("d/victim"); }},
    {"rename away", [] { return ::rename("d/victim", "plain/x"); }},
    {"rename within", [] { return ::rename("d/victim", "d/x"); }},
    {"replace", [] { return ::rename("d/own", "d/victim"); }},
    {"replace from elsewhere", [] { return ::rename("plain/own", "d/victim"); }},
    {"exchange", [] { return ::renameat2(AT_FDCWD, "d/own", AT_FDCWD, "d/victim", RENAME_EXCHANGE); }},
    {"link", [] { return ::link("d/victim", "plain/x"); }},
};

struct Owners {
    const char* name;
    uid_t directory, victim;
};

constexpr Owners owners[] = {
    {"all of alice", alice.uid, alice.uid},
    {"directory of alice, entry of bob", alice.uid, bob.uid},
    {"directory of bob, entry of alice", bob.uid, alice.uid},
    {"directory of root, entry of alice", 0, alice.uid},
    {"directory and entry of bob", bob.uid, bob.uid},
    {"directory and entry of root", 0, 0},
};

void arrange(const Owners& who, mode_t mode, bool directory_victim) {
    make_directory("d");
    give("d", who.directory, 0);
    ::chmod("d", mode);
    make_directory("plain", 0777);
    for (const char* name : {"d/victim", "d/own", "plain/own"}) {
        if (directory_victim) {
            make_directory(name);
        } else {
            make_file(name);
        }
    }
    give("d/victim", who.victim, 0);
    give("d/own", alice.uid, alice.gid);
    give("plain/own", alice.uid, alice.gid);
}

void every_combination(bool directory_victim, const char* prefix) {
    int number = 0;
    for (const mode_t mode : {01777, 0777}) {
        for (const Owners& who : owners) {
            for (const Action& action : actions) {
                const std::string base = printf_string("%s%d", prefix, number++);
                make_directory(base, 0777);
                if (::chdir(base.c_str()) != 0) return say("chdir", errno_name(errno));
                arrange(who, mode, directory_victim);
                as(alice, [&] {
                    SEE_AS(printf_string("%s, %s, mode %o, %s", prefix, action.name, mode, who.name), action.perform());
                });
                see_names("d");
                if (::chdir("..") != 0) return say("chdir", errno_name(errno));
            }
        }
    }
}

void files() { every_combination(false, "file"); }
void directories() { every_combination(true, "dir"); }

// Only the owner (and root) may set the bit on a file; on a directory it needs nothing special.
void setting_the_bit() {
    make_file("f");
    give("f", alice.uid, alice.gid);
    make_directory("d");
    give("d", alice.uid, alice.gid);
    as(alice, [] {
        SEE(chmod("f", 01644));
        SEE(chmod("d", 01755));
    });
    see_mode("f");
    see_mode("d");
}

// A regular file and a fifo of somebody else in a world-writable sticky directory, opened with O_CREAT.
void opening_with_creat() {
    make_directory("d", 01777);
    make_file("d/f", 0666);
    give("d/f", bob.uid, bob.gid);
    as(alice, [] {
        SEE_FD(open("d/f", O_RDWR));
        SEE_FD(open("d/f", O_RDWR | O_CREAT, 0644));
    });
}

constexpr Case cases[] = {
    {"files", files},
    {"directories", directories},
    {"setting_the_bit", setting_the_bit},
    {"opening_with_creat", opening_with_creat},
};

}  // namespace

extern const Topic sticky_topic{"sticky", cases};

}  // namespace holdfast::fidelity
