// Reading directories: everything once, positions under change, many entries, long names.
#include <dirent.h>
#include <sys/syscall.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

std::vector<std::string> read_all(DIR* dir) {
    std::vector<std::string> names;
    while (const struct dirent* entry = ::readdir(dir)) names.emplace_back(entry->d_name);
    return names;
}

void fill(const char* directory, int count) {
    for (int i = 0; i < count; ++i) make_file(printf_string("%s/entry-number-%d", directory, i));
}

void every_entry_once() {
    for (const int count : {0, 1, 10, 500, 5000}) {
        const std::string name = printf_string("d%d", count);
        make_directory(name);
        fill(name.c_str(), count);
        DIR* dir = ::opendir(name.c_str());
        const auto names = read_all(dir);
        const std::set<std::string> unique(names.begin(), names.end());
        say("entries", static_cast<long long>(names.size()));
        say("different ones", static_cast<long long>(unique.size()));
        say("has . and ..", unique.contains(".") && unique.contains(".."));
        ::rewinddir(dir);
        say("again", static_cast<long long>(read_all(dir).size()));
        ::closedir(dir);
    }
}

// A position that telldir gave leads back to the same entry, in any order, by another descriptor too.
void positions() {
    make_directory("d");
    fill("d", 300);
    DIR* dir = ::opendir("d");
    std::map<std::string, long> places;
    std::vector<std::string> order;
    for (;;) {
        const long place = ::telldir(dir);
        const struct dirent* entry = ::readdir(dir);
        if (entry == nullptr) break;
        places[entry->d_name] = place;
        order.emplace_back(entry->d_name);
    }
    int wrong = 0;
    for (size_t i = 0; i < order.size(); i += 7) {
        const std::string& name = order[order.size() - 1 - i];
        ::seekdir(dir, places[name]);
        const struct dirent* entry = ::readdir(dir);
        wrong += entry == nullptr || name != entry->d_name;
    }
    say("wrong after seekdir", wrong);
    ::closedir(dir);
}

// What stays there is seen exactly once, whatever comes and goes meanwhile.
void under_change() {
    make_directory("d");
    fill("d", 1000);
    DIR* dir = ::opendir("d");
    std::map<std::string, int> seen;
    int step = 0;
    while (const struct dirent* entry = ::readdir(dir)) {
        const std::string name = entry->d_name;
        ++seen[name];
        if (++step % 3 == 0) make_file(printf_string("d/new-%d", step));
        if (step % 5 == 0) ::unlink(printf_string("d/entry-number-%d", 999 - step / 5).c_str());
    }
    ::closedir(dir);
    int missed = 0, twice = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::string name = printf_string("entry-number-%d", i);
        const bool stays = ::access(("d/" + name).c_str(), F_OK) == 0;
        if (stays && seen[name] == 0) ++missed;
        if (seen[name] > 1) ++twice;
    }
    say("missed", missed);
    say("twice", twice);
}

// rm -r deletes while it reads; nothing may be left.
void deleting_while_reading() {
    make_directory("d");
    fill("d", 3000);
    DIR* dir = ::opendir("d");
    while (const struct dirent* entry = ::readdir(dir)) {
        if (entry->d_name[0] != '.') ::unlinkat(::dirfd(dir), entry->d_name, 0);
    }
    ::closedir(dir);
    SEE(rmdir("d"));
}

void small_buffers() {
    make_directory("d");
    fill("d", 5);
    make_file("d/" + std::string(255, 'n'));
    const UniqueFd fd = open_file("d", O_RDONLY | O_DIRECTORY);
    std::vector<char> buffer(70000);
    SEE(syscall(SYS_getdents64, fd.get(), buffer.data(), 10) < 0 ? -1 : 0);
    int calls = 0, entries = 0;
    ::lseek(fd.get(), 0, SEEK_SET);
    for (;;) {
        const long got = ::syscall(SYS_getdents64, fd.get(), buffer.data(), 300);
        if (got <= 0) break;
        ++calls;
        for (long at = 0; at < got; at += *reinterpret_cast<unsigned short*>(buffer.data() + at + 16)) ++entries;
    }
    say("entries through a small buffer", entries);
    say("several calls", calls > 1);
}

void types_and_inodes() {
    make_directory("d");
    make_file("d/file");
    make_directory("d/dir");
    ::mkfifo("d/fifo", 0644);
    ::symlink("x", "d/link");
    ::link("d/file", "d/hard");
    see_names("d");
    DIR* dir = ::opendir("d");
    int wrong = 0;
    ino_t dot = 0, dotdot = 0;
    while (const struct dirent* entry = ::readdir(dir)) {
        struct stat st;
        ::fstatat(::dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW);
        if (entry->d_name == std::string(".")) dot = entry->d_ino;
        else if (entry->d_name == std::string("..")) dotdot = entry->d_ino;
        else wrong += st.st_ino != entry->d_ino;
    }
    ::closedir(dir);
    struct stat here, parent;
    ::stat("d", &here);
    ::stat(".", &parent);
    say("inodes that differ from stat", wrong);
    say(". is the directory", dot == here.st_ino);
    say(".. is its parent", dotdot == parent.st_ino);
}

void descriptors() {
    make_directory("d");
    fill("d", 10);
    const UniqueFd fd = open_file("d", O_RDONLY | O_DIRECTORY);
    SEE(lseek(fd.get(), 0, SEEK_SET));
    SEE(fsync(fd.get()));
    SEE(fdatasync(fd.get()));
    SEE(fchdir(fd.get()));
    see_names(".");
    SEE(chdir(".."));
    ::chmod("d", 0311);
    as(alice, [] { SEE_FD(open("d", O_RDONLY | O_DIRECTORY)); SEE(access("d/entry-number-1", F_OK)); see_names("d"); });
    ::chmod("d", 0744);
    as(alice, [] { see_names("d"); SEE(access("d/entry-number-1", F_OK)); SEE(chdir("d")); });
}

constexpr Case cases[] = {
    {"every_entry_once", every_entry_once}, {"positions", positions}, {"under_change", under_change},
    {"deleting_while_reading", deleting_while_reading}, {"small_buffers", small_buffers}, {"types_and_inodes", types_and_inodes},
    {"descriptors", descriptors},
};

}  // namespace

extern const Topic directory_topic{"directory", cases};

}  // namespace holdfast::fidelity
