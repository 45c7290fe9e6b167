// Names of every length and of every byte; trees deeper than PATH_MAX.
#include <dirent.h>
#include <limits.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void every_byte() {
    for (int byte = 1; byte < 256; ++byte) {
        if (byte == '/' || byte == '.') continue;
        const std::string name(1, static_cast<char>(byte));
        const UniqueFd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644));
        if (!fd) say(printf_string("create \\x%02x", byte), errno_name(errno));
    }
    see_names(".");
    const std::string all_high = "\xff\xfe\x80\xc3\x28 not utf-8 \n\t\\";
    SEE_AS("mkdir of bytes that are not UTF-8", ::mkdir(all_high.c_str(), 0755));
    SEE_AS("symlink of bytes that are not UTF-8", ::symlink(all_high.c_str(), (all_high + "/\xf0").c_str()));
    see_names(all_high);
    SEE_AS("rename of bytes that are not UTF-8", ::rename(all_high.c_str(), "\x01\x02"));
    see_names("\x01\x02");
    // Two spellings of one letter are two names.
    SEE_AS("composed", ::mkdir("\xc3\xa9", 0755));
    SEE_AS("decomposed", ::mkdir("e\xcc\x81", 0755));
    SEE(mkdir("CASE", 0755));
    SEE(mkdir("case", 0755));
}

void dots() {
    for (const char* name : {"...", "..x", ".x", " ", ". .", "x."}) SEE_AS(std::string("mkdir ") + name, ::mkdir(name, 0755));
    see_names(".");
}

void lengths() {
    for (const size_t length : {1, 2, 127, 128, 129, 254, 255, 256, 257, 1023, 4095}) {
        const std::string name(length, 'x');
        const std::string label = printf_string("%zu bytes: ", length);
        SEE_FD_AS(label + "create", ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644));
        SEE_AS(label + "link", ::link(name.c_str(), "other"));
        SEE_AS(label + "rename away", ::rename(name.c_str(), "away"));
        SEE_AS(label + "rename back", ::rename("away", name.c_str()));
        SEE_AS(label + "unlink", ::unlink(name.c_str()));
        SEE_AS(label + "unlink other", ::unlink("other"));
        SEE_AS(label + "mkdir", ::mkdir(name.c_str(), 0755));
        SEE_AS(label + "rmdir", ::rmdir(name.c_str()));
        SEE_AS(label + "mkfifo", ::mkfifo(name.c_str(), 0644));
        SEE_AS(label + "symlink to it", ::symlink(name.c_str(), printf_string("link%zu", length).c_str()));
        char target[8192];
        SEE_AS(label + "readlink", ::readlink(printf_string("link%zu", length).c_str(), target, sizeof target));
    }
    SEE_AS("symlink to 4096 bytes", ::symlink(std::string(4096, 'x').c_str(), "too-long"));
    SEE_AS("symlink to nothing", ::symlink("", "empty"));
    char target[4];
    SEE(symlink("123456789", "nine"));
    SEE(readlink("nine", target, sizeof target));
    see_names(".");
    SEE(pathconf(".", _PC_NAME_MAX));
    SEE(pathconf(".", _PC_PATH_MAX));
}

// 200 levels with short names: well within PATH_MAX, beyond what a recursive walk by paths likes.
void two_hundred_levels() {
    std::string path = ".";
    for (int i = 0; i < 200; ++i) {
        path += "/d";
        if (::mkdir(path.c_str(), 0755) != 0) return say(printf_string("mkdir level %d", i), errno_name(errno));
    }
    make_file(path + "/leaf", 0644, "deep");
    see_bytes(path + "/leaf");
    SEE_AS("rename of the top", ::rename("d", "e"));
    path[2] = 'e';
    see_stat(path + "/leaf");
    SEE_AS("rename into itself", ::rename("e", (path + "/e").c_str()));
    SEE_AS("rmdir of the bottom", ::rmdir(path.c_str()));
}

// Longer than any path can be: only reachable step by step.
void beyond_path_max() {
    const std::string name(200, 'p');
    const UniqueFd top = open_file(".", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 30; ++i) {
        if (::mkdir(name.c_str(), 0755) != 0) return say(printf_string("mkdir at %d", i), errno_name(errno));
        if (::chdir(name.c_str()) != 0) return say(printf_string("chdir at %d", i), errno_name(errno));
    }
    make_file("leaf", 0644, "beyond");
    see_bytes("leaf");
    see_stat("leaf");
    SEE(chmod("leaf", 0600));
    SEE(truncate("leaf", 3));
    SEE(link("leaf", "leaf2"));
    SEE(rename("leaf2", "leaf3"));
    SEE(symlink("leaf", "to-leaf"));
    SEE(mkdir("sub", 0755));
    SEE(rename("sub", "../sub"));
    see_names(".");
    see_names("..");
    char buffer[PATH_MAX];
    SEE(::getcwd(buffer, sizeof buffer) == nullptr ? -1 : 0);
    for (int i = 0; i < 30; ++i) {
        if (::chdir("..") != 0) return say(printf_string("chdir .. at %d", i), errno_name(errno));
    }
    struct stat here, there;
    ::stat(".", &here);
    ::fstat(top.get(), &there);
    say("back at the top", here.st_ino == there.st_ino && here.st_dev == there.st_dev ? "yes" : "no");
}

void parent_entries() {
    make_directory("a");
    make_directory("a/b");
    struct stat parent, through;
    ::stat("a", &parent);
    ::stat("a/b/..", &through);
    say("a/b/.. is a", parent.st_ino == through.st_ino ? "yes" : "no");
    SEE(rename("a/b", "b"));
    ::stat(".", &parent);
    ::stat("b/..", &through);
    say("b/.. is . after the rename", parent.st_ino == through.st_ino ? "yes" : "no");
    const UniqueFd fd = open_file("b", O_RDONLY | O_DIRECTORY);
    SEE(rename("b", "a/c"));
    ::stat("a", &parent);
    ::fstatat(fd.get(), "..", &through, 0);
    say(".. of an open directory follows its rename", parent.st_ino == through.st_ino ? "yes" : "no");
}

// What readdir says in d_ino is what stat says.
void inode_numbers_agree() {
    make_file("f");
    make_directory("d");
    ::symlink("f", "s");
    ::mkfifo("p", 0644);
    DIR* dir = ::opendir(".");
    int disagreements = 0;
    while (const struct dirent* entry = ::readdir(dir)) {
        struct stat st;
        if (std::string_view(entry->d_name) == "..") continue;
        if (::lstat(entry->d_name, &st) != 0 || st.st_ino != entry->d_ino) ++disagreements;
    }
    ::closedir(dir);
    say("disagreements of d_ino and st_ino", disagreements);
}

constexpr Case cases[] = {
    {"every_byte", every_byte},
    {"dots", dots},
    {"lengths", lengths},
    {"two_hundred_levels", two_hundred_levels},
    {"beyond_path_max", beyond_path_max},
    {"parent_entries", parent_entries},
    {"inode_numbers_agree", inode_numbers_agree},
};

}  // namespace

extern const Topic name_topic{"name", cases};

}  // namespace holdfast::fidelity
