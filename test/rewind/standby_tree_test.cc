// The directory that a replica's host keeps equal to the image. Random histories are test/model/history_test.cc's; here is what somebody does to
// the directory behind the product's back, and what happens while it is compared.
#include "rewind/standby/standby_tree.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "rewind/service/confinement.h"
#include "rewind/standby/standby_directory.h"
#include "test/rewind/same_tree.h"
#include "test/rewind/store_story.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using rewind::StandbyTree;

void become_replica(journal::Volume& volume) {
    volume.role = journal::VolumeRole::replica;
    fs::create_directories(volume.directory);
    StoreStory::need(journal::save_volume(volume));
}

class StandbyStory : public StoreStory {
public:
    explicit StandbyStory(const std::function<void(journal::Volume&)>& change = {})
        : StoreStory([&](journal::Volume& volume) {
              if (change) change(volume);
              become_replica(volume);
          }) {}

    std::string at(const std::string& path) const { return volume().directory + "/" + path; }
    std::string kept() const { return at(rewind::kept_name(volume().id)); }
    ObjectId object(uint64_t number) const { return {number, 1, 1}; }
    StandbyTree::Condition condition() { return *store().standby(); }
    // Until there is nothing more to do. Returns what kept it from that.
    std::string follow() {
        apply();
        while (store().advance_standby()) {}
        const auto failure = condition().failure;
        return failure ? failure->message : "";
    }
    // Of the image and the directory; "": none.
    std::string difference() {
        const bool is_kept_empty = !fs::exists(kept()) || fs::is_empty(kept());
        // Aside for the comparison, with its time: it is in the way of nothing else.
        struct stat top;
        ::stat(volume().directory.c_str(), &top);
        const std::string aside = volume().directory + "-kept";
        fs::rename(kept(), aside);
        const timespec times[2] = {top.st_atim, top.st_mtim};
        ::utimensat(AT_FDCWD, volume().directory.c_str(), times, 0);
        std::string found = tree_difference(path("image"), volume().directory);
        fs::rename(aside, kept());
        ::utimensat(AT_FDCWD, volume().directory.c_str(), times, 0);
        return is_kept_empty ? found : "the graveyard is not empty";
    }
    void compare_again() { need(store().compare_standby()); }
    // Closed and opened like by a service that starts anew.
    void start_anew() {
        store().save_standby();
        reopen();
    }
};

void put(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

void plant(StandbyStory& story) {
    story.birth(story.object(10), "dir", S_IFDIR | 0755);
    story.birth(story.object(11), "file", S_IFREG | 0644, story.object(10));
    story.write(story.object(11), 0, std::string(10'000, 'a'));
    story.birth(story.object(12), "sub", S_IFDIR | 0750, story.object(10));
    story.birth(story.object(13), "deep", S_IFREG | 0600, story.object(12));
    story.write(story.object(13), 100'000, "tail");
    story.birth(story.object(14), "link", S_IFLNK | 0777);
    story.birth(story.object(15), "pipe", S_IFIFO | 0640);
    story.tell(HF_LINK, story.object(11), journal::Link{root_object, "again"});
    story.set_xattr(story.object(10), "user.note", "kept");
}

TEST_CASE("standby: it is filled, follows, and goes on after it was opened anew", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story;
    plant(story);
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
    CHECK(story.condition().comparisons == 1);
    story.write(story.object(11), 5'000, "middle");
    story.tell(HF_RENAME, story.object(12), journal::Rename{story.object(10), "sub", root_object, "moved", {}, false, false});
    story.unlink(story.object(14), "link");
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
    story.start_anew();
    story.write(story.object(13), 0, "head");
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
    CHECK(story.condition().comparisons == 0);
    CHECK(story.condition().position == story.store().applied());
}

TEST_CASE("standby: what somebody did to it is put right by a comparison", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story;
    plant(story);
    CHECK(story.follow() == "");
    const std::vector<std::pair<const char*, std::function<void()>>> deeds{
        {"bytes", [&] { std::fstream(story.at("dir/file")).seekp(200) << "forged"; }},
        {"a size", [&] { fs::resize_file(story.at("dir/sub/deep"), 10); }},
        {"a mode", [&] { ::chmod(story.at("pipe").c_str(), 0666); }},
        {"an owner", [&] { (void)!::chown(story.at("dir/sub").c_str(), 7, 8); }},
        {"an attribute", [&] { ::setxattr(story.at("dir").c_str(), "user.note", "forged", 6, 0); }},
        {"one more attribute", [&] { ::setxattr(story.at("dir/file").c_str(), "user.more", "x", 1, 0); }},
        {"a time", [&] { ::utimensat(AT_FDCWD, story.at("dir").c_str(), nullptr, 0); }},
        {"a file that is gone", [&] { fs::remove(story.at("dir/sub/deep")); }},
        {"a name that is gone", [&] { fs::remove(story.at("again")); }},
        {"a directory that is gone", [&] { fs::remove_all(story.at("dir")); }},
        {"a file moved", [&] { fs::rename(story.at("dir/sub/deep"), story.at("elsewhere")); }},
        {"a directory moved", [&] { fs::rename(story.at("dir/sub"), story.at("elsewhere")); }},
        {"a directory moved into something new", [&] { fs::create_directory(story.at("new")), fs::rename(story.at("dir"), story.at("new/dir")); }},
        {"two that changed places", [&] { ::renameat2(AT_FDCWD, story.at("pipe").c_str(), AT_FDCWD, story.at("dir/sub/deep").c_str(), RENAME_EXCHANGE); }},
        {"a file in the place of another", [&] { fs::remove(story.at("again")), put(story.at("again"), "other"); }},
        {"a directory in the place of a file", [&] { fs::remove(story.at("pipe")), fs::create_directory(story.at("pipe")), put(story.at("pipe/x"), "x"); }},
        {"another link", [&] { fs::remove(story.at("link")), fs::create_symlink("elsewhere", story.at("link")); }},
        {"something foreign", [&] { fs::create_directories(story.at("a/b/c")), put(story.at("a/b/c/d"), "d"); }},
        {"something in the graveyard", [&] { fs::create_directories(story.kept() + "/1:11:1/x"), put(story.kept() + "/junk", "d"); }},
        {"its table", [&] { story.close(), fs::remove_all(story.path("tree")), story.open(); }},
        {"a damaged table", [&] {
             story.close();
             for (const auto& entry : fs::directory_iterator(story.path("tree")))
                 if (entry.path().filename() != "LOCK") put(entry.path(), "nonsense");
             story.open();
         }},
    };
    for (const auto& [what, deed] : deeds) {
        INFO(what);
        deed();
        story.compare_again();
        CHECK(story.follow() == "");
        CHECK(story.difference() == "");
    }
    // And that it follows from there.
    story.write(story.object(13), 0, "head");
    story.tell(HF_RENAME, story.object(10), journal::Rename{root_object, "dir", root_object, "dir2", {}, false, false});
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
}

TEST_CASE("standby: what is missing where something changes is noticed", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story;
    plant(story);
    CHECK(story.follow() == "");
    fs::remove_all(story.at("dir/sub"));
    story.write(story.object(13), 0, "head");
    CHECK(story.follow() != "");
    story.start_anew();
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
}

TEST_CASE("standby: a copy that is there becomes it without being copied again", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story;
    plant(story);
    story.apply();
    fs::create_directories(story.at("dir/sub"));
    put(story.at("dir/file"), std::string(9'000, 'a') + std::string(1'000, 'x'));
    fs::create_hard_link(story.at("dir/file"), story.at("again"));
    put(story.at("dir/sub/deep"), "other");
    put(story.at("too much"), "x");
    // More than are kept open at a time.
    std::map<std::string, ino_t> many;
    story.birth(story.object(20), "many", S_IFDIR | 0755);
    fs::create_directory(story.at("many"));
    for (uint64_t number = 1'000; number < 2'000; ++number) {
        const std::string name = "n" + std::to_string(number);
        story.birth(story.object(number), name, S_IFREG | 0644, story.object(20));
        put(story.at("many/" + name), "");
        struct stat one;
        ::stat(story.at("many/" + name).c_str(), &one);
        many[name] = one.st_ino;
    }
    struct stat file, deep, now;
    ::stat(story.at("dir/file").c_str(), &file);
    ::stat(story.at("dir/sub/deep").c_str(), &deep);
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
    ::stat(story.at("again").c_str(), &now);
    CHECK(now.st_ino == file.st_ino);
    ::stat(story.at("dir/sub/deep").c_str(), &now);
    CHECK(now.st_ino == deep.st_ino);
    for (const auto& [name, inode] : many) {
        ::stat(story.at("many/" + name).c_str(), &now);
        CHECK(now.st_ino == inode);
    }
}

TEST_CASE("standby: what changes while it is compared is not missed", "[system]") {
    if (::geteuid() != 0) return;
    std::mt19937_64 random(20261128);
    StandbyStory story;
    uint64_t next = 100;
    std::vector<std::pair<ObjectId, std::string>> directories{{root_object, ""}};
    std::map<std::string, std::pair<ObjectId, ObjectId>> places;  // name, which is used once -> directory, object
    const auto make = [&](bool is_directory) {
        const ObjectId object = story.object(next++);
        const ObjectId parent = directories[random() % directories.size()].first;
        const std::string name = "n" + std::to_string(object.inode);
        story.birth(object, name, is_directory ? S_IFDIR | 0755 : S_IFREG | 0644, parent);
        if (is_directory) directories.push_back({object, name});
        else story.write(object, random() % 3 * 100'000, std::string(random() % 50'000, static_cast<char>('a' + random() % 26)));
        places[name] = {parent, object};
    };
    for (int i = 0; i < 2'000; ++i) make(i % 8 == 0);
    // A directory moves among those of the top, whatever was visited by now.
    const auto move = [&] {
        auto place = std::next(places.begin(), static_cast<ptrdiff_t>(random() % places.size()));
        auto& [parent, object] = place->second;
        const ObjectId to = random() % 2 ? root_object : directories[random() % directories.size()].first;
        if (to != root_object && std::any_of(directories.begin(), directories.end(), [&, moved = object](const auto& d) { return d.first == moved; })) return;
        if (to == parent) return;
        story.tell(HF_RENAME, object, journal::Rename{parent, place->first, to, place->first, {}, false, false});
        parent = to;
    };
    story.apply();
    int steps = 0;
    for (; steps < 40 && story.store().advance_standby(); ++steps) {
        for (int i = 0; i < 20; ++i) random() % 3 == 0 ? make(random() % 4 == 0) : move();
        story.apply();
    }
    CHECK(steps > 2);
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
}

TEST_CASE("standby: a confined process does all of it by names", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story;
    plant(story);
    story.close();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // No check of Catch: this process ends here.
        const auto confined = rewind::confine_to(story.volume(), {});
        if (!confined) ::_exit(2);
        auto store = FollowingStore::open(story.volume());
        if (!store) ::_exit(3);
        const auto follow = [&] {
            if (!(*store)->apply_all()) ::_exit(4);
            while ((*store)->store().advance_standby()) {}
            if ((*store)->store().standby()->failure) ::_exit(5);
        };
        follow();
        if (!(*store)->store().compare_standby()) ::_exit(6);
        follow();
        (*store)->store().save_standby();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    story.open();
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
    CHECK(story.condition().comparisons == 0);
}

TEST_CASE("standby: one that stayed behind the window is compared", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story([](journal::Volume& volume) { volume.window_bytes_max = 24 << 20; });
    plant(story);
    CHECK(story.follow() == "");
    story.store().save_standby();
    const Lsn position = story.condition().position;
    for (int i = 0; i < 80; ++i) story.write(story.object(13), 0, std::string(1 << 20, static_cast<char>('a' + i % 26)));
    story.unlink(story.object(15), "pipe");
    story.apply();
    StoreStory::need(story.store().checkpoint());
    StoreStory::need(story.store().prune());
    CHECK(story.store().window_begin() > position);
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
    CHECK(story.condition().comparisons == 2);
}

TEST_CASE("standby: which directory it is, is decided with care", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story;
    journal::Volume volume = story.volume();
    const std::string place = volume.store + "/../";
    const auto set = [&](const std::string& directory, bool replaces = false) { return rewind::set_standby_directory(volume, directory, replaces); };
    CHECK(set("relative").error().code == ErrorCode::invalid_argument);
    CHECK(set("/").error().code == ErrorCode::invalid_argument);
    CHECK(set(volume.store + "/inside").error().code == ErrorCode::invalid_argument);
    CHECK(set(place).error().code == ErrorCode::invalid_argument);
    fs::create_directories(place + "full/of");
    const auto refused = set(place + "full");
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::exists);
    CHECK(refused.error().message.find("of") != std::string::npos);
    CHECK(journal::load_volume(volume.store)->directory == story.volume().directory);
    CHECK(set(place + "full", true));
    fs::create_directories(place + "ours/of");
    fs::create_directory(place + "ours/" + rewind::kept_name(volume.id));
    CHECK(set(place + "ours"));
    fs::create_directories(place + "theirs/of");
    fs::create_directory(place + "theirs/" + rewind::kept_name(journal::random_volume_id()));
    CHECK(set(place + "theirs").error().code == ErrorCode::exists);
    CHECK(set(place + "new"));
    CHECK(fs::is_directory(place + "new"));
    fs::create_directory(place + "own disk");
    fs::create_directory(place + "own disk/lost+found");
    CHECK(set(place + "own disk"));
    CHECK(set(""));
    CHECK(!journal::load_volume(volume.store)->has_standby_directory());
    volume.role = journal::VolumeRole::source;
    CHECK(set(place + "new").error().code == ErrorCode::invalid_argument);
}

TEST_CASE("standby: another directory in its place is not written to", "[system]") {
    if (::geteuid() != 0) return;
    StandbyStory story;
    plant(story);
    CHECK(story.follow() == "");
    story.start_anew();
    fs::rename(story.volume().directory, story.volume().directory + "-away");
    fs::create_directory(story.volume().directory);
    story.write(story.object(13), 0, "head");
    CHECK(story.follow().find("is its disk mounted") != std::string::npos);
    CHECK(!fs::exists(story.at("dir")));
    fs::remove_all(story.volume().directory);
    fs::rename(story.volume().directory + "-away", story.volume().directory);
    story.reopen();
    CHECK(story.follow() == "");
    CHECK(story.difference() == "");
    CHECK(story.condition().comparisons == 0);
}

// What taking in a load costs a store, and following it a standby directory: KIND 0: files that are made, 1: one file written in sequence, 2: at random.
struct Cost {
    double applying_s = 0, following_s = 0;
};
Cost cost_of(int kind) {
    StandbyStory story;
    story.follow();
    std::mt19937_64 random(1);
    uint64_t next = 100;
    const ObjectId large = story.object(10);
    story.birth(large, "large", S_IFREG | 0644);
    if (kind == 2) story.write(large, (64 << 20) - 1, "x");
    story.follow();
    Cost cost;
    for (int portion = 0; portion < 16; ++portion) {
        if (kind == 0) {
            for (int i = 0; i < 500; ++i) {
                const ObjectId object = story.object(next++);
                story.birth(object, "n" + std::to_string(next), S_IFREG | 0644);
                story.write(object, 0, std::string(4096, 'a'));
            }
        }
        if (kind == 1) for (int i = 0; i < 64; ++i) story.write(large, static_cast<uint64_t>(portion * 64 + i) << 16, std::string(1 << 16, static_cast<char>('a' + i % 26)));
        if (kind == 2) for (int i = 0; i < 1'000; ++i) story.write(large, random() % (64 << 8) << 12, std::string(4096, static_cast<char>('a' + i % 26)));
        const auto began = std::chrono::steady_clock::now();
        story.apply();
        const auto applied = std::chrono::steady_clock::now();
        story.store().advance_standby();
        cost.applying_s += std::chrono::duration<double>(applied - began).count();
        cost.following_s += std::chrono::duration<double>(std::chrono::steady_clock::now() - applied).count();
    }
    CHECK(story.difference() == "");
    return cost;
}

TEST_CASE("standby bench: what following costs, compared with applying", "[.][bench]") {
    const char* names[] = {"8,000 files of 4 KiB", "64 MiB in sequence", "16,000 random writes of 4 KiB"};
    for (int kind = 0; kind < 3; ++kind) {
        std::vector<double> ratios;
        for (int round = 0; round < 5; ++round) {
            const Cost cost = cost_of(kind);
            ratios.push_back(cost.following_s / cost.applying_s);
        }
        std::sort(ratios.begin(), ratios.end());
        std::printf("%s: following takes %.2f of applying (%.2f to %.2f)\n", names[kind], ratios[2], ratios.front(), ratios.back());
    }
}

}  // namespace
}  // namespace holdfast::test
