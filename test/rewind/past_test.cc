// The mount of the past on a real store, seen through system calls.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "base/mount_table.h"
#include "journal/writer.h"
#include "rewind/past/past_mount.h"
#include "rewind/store.h"
#include "test/support/scratch.h"

namespace holdfast::rewind {
namespace {

using journal::ObjectId;

bool can_mount() {
    if (::geteuid() == 0 && ::access("/dev/fuse", R_OK | W_OK) == 0) return true;
    WARN("skipped: needs root and /dev/fuse");
    return false;
}

// A store with a history made by hand, and the past of it.
class Bench final : public PastSource {
public:
    Bench() {
        volume_.id = journal::random_volume_id();
        volume_.directory = scratch_ / "live";
        volume_.store = scratch_ / "store";
        volume_.journal_directory = volume_.store + "/journal";
        volume_.segment_bytes = HF_SEGMENT_BYTES_MIN;
        for (const char* part : {"/journal/cursors", "/image", "/graveyard", "/undo", "/index"})
            std::filesystem::create_directories(volume_.store + part);
        std::filesystem::create_directories(scratch_ / "past");
        disk_ = open_disk(volume_.journal_directory).value();
        table_ = journal::InflightTable::open(volume_.journal_directory + "/inflight", volume_.id).value();
        journal::WriterOptions options;
        options.segment_bytes = volume_.segment_bytes;
        writer_ = journal::Writer::open(*disk_, *table_, system_clock(), volume_.id, {}, options).value();
        reader_ = std::make_unique<journal::Reader>(*disk_, volume_.id, volume_.segment_bytes, table_.get());
        store_ = Store::open(volume_, *reader_, system_clock()).value();
        reader_->seek(store_->applied());
    }

    // Appends a record; the moment after it.
    template <typename Body>
    Lsn append(hf_record_type type, ObjectId object, Body body) {
        journal::Record record;
        record.type = type;
        record.object = object;
        record.body = std::move(body);
        REQUIRE(writer_->append(record));
        return writer_->published();
    }

    Lsn make(ObjectId object, ObjectId parent, std::string_view name, uint32_t mode, std::string_view target = {},
             std::vector<journal::Xattr> xattrs = {}) {
        journal::Birth birth;
        birth.parent = parent;
        birth.name = name;
        birth.attributes = {HF_ATTR_ALL, mode, 1000, 1001, 1'600'000'000'000'000'001, 1'600'000'000'000'000'002, 0};
        birth.target = target;
        birth.xattrs = std::move(xattrs);
        if (S_ISCHR(mode)) birth.rdev = makedev_value;
        return append(journal::birth_type(mode), object, std::move(birth));
    }

    Lsn write(ObjectId object, uint64_t offset, std::string_view bytes) {
        return append(HF_WRITE, object, journal::Write{offset, bytes_of(bytes)});
    }

    void apply() {
        for (;;) {
            auto taken = store_->apply(*reader_, 1 << 20);
            INFO((taken ? std::string() : taken.error().message));
            REQUIRE(taken);
            if (*taken == 0) break;
        }
    }

    void mount() {
        apply();
        auto mounted = PastMount::mount(*this, system_clock(), volume_.id, place());
        INFO((mounted ? std::string() : mounted.error().message));
        REQUIRE(mounted);
        mount_ = std::move(*mounted);
    }

    Result<StoreLoan> borrow() const override { return StoreLoan(std::shared_lock(gate_), *store_); }
    Result<Moment> resolve(std::string_view text) const override {
        ++resolved;
        Timeline timeline;
        timeline.now_ns = system_clock().realtime_ns();
        timeline.applied = store_->applied();
        timeline.window_begin = store_->window_begin();
        timeline.bookmarks = bookmarks;
        timeline.lsn_at_time = [&](uint64_t time_ns) { return store_->index().lsn_at_time(time_ns); };
        timeline.time_at_lsn = [&](Lsn lsn) { return store_->index().time_at_lsn(lsn); };
        timeline.check_moment = [&](Lsn lsn) { return store_->check_moment(lsn); };
        return resolve_moment(text, timeline);
    }
    std::vector<BookmarkEntry> offered_bookmarks() const override { return bookmarks; }

    std::string place() const { return scratch_ / "past"; }
    std::string at(Lsn lsn, const std::string& path = "") const {
        return place() + "/@lsn:" + std::to_string(lsn) + path;
    }
    const journal::VolumeId& id() const { return volume_.id; }
    PastMount& past() { return *mount_; }
    void end_mount() { mount_.reset(); }

    static constexpr uint64_t makedev_value = (1 << 8) | 3;  // /dev/null
    std::vector<BookmarkEntry> bookmarks;
    mutable std::atomic<int> resolved{0};

private:
    test::ScratchDirectory scratch_;
    journal::Volume volume_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Writer> writer_;
    std::unique_ptr<journal::Reader> reader_;
    std::unique_ptr<Store> store_;
    mutable std::shared_timed_mutex gate_;
    std::unique_ptr<PastMount> mount_;
};

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
}

struct stat status_of(const std::string& path) {
    struct stat status;
    INFO(path);
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status;
}

std::set<std::string> names_in(const std::string& path) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) names.insert(entry.path().filename());
    return names;
}

constexpr ObjectId directory{100, 1, 1}, file{101, 1, 1}, link{102, 1, 1}, device{103, 1, 1}, other{104, 1, 1};
constexpr ObjectId root = journal::root_object;

TEST_CASE("past mount: a tree looks as it did at each moment") {
    if (!can_mount()) return;
    Bench bench;
    bench.make(directory, root, "d", S_IFDIR | 0751);
    bench.make(file, directory, "f", S_IFREG | 0640, {}, {{"user.colour", "blue"}});
    bench.make(link, directory, "s", S_IFLNK | 0777, "f");
    bench.make(device, root, "null", S_IFCHR | 0666);
    const Lsn first = bench.write(file, 0, "first version");
    bench.append(HF_LINK, file, journal::Link{root, "hard"});
    bench.write(file, 6, "VERSION");
    bench.append(HF_SETXATTR, file, journal::SetXattr{{"user.colour", "red"}});
    const Lsn second = bench.append(HF_TRUNCATE, file, journal::Truncate{10});
    bench.append(HF_UNLINK, file, journal::Unlink{directory, "f", false});
    bench.append(HF_UNLINK, file, journal::Unlink{root, "hard", true});
    bench.append(HF_UNLINK, link, journal::Unlink{directory, "s", true});
    const Lsn third = bench.append(HF_RMDIR, directory, journal::Unlink{root, "d", true});
    bench.bookmarks = {{"one", first, 1}, {"two", second, 2}};
    bench.mount();

    CHECK(names_in(bench.place()) == std::set<std::string>{"@one", "@two"});
    CHECK(names_in(bench.place() + "/@one") == std::set<std::string>{"d", "null"});
    CHECK(names_in(bench.place() + "/@one/d") == std::set<std::string>{"f", "s"});
    CHECK(contents(bench.place() + "/@one/d/f") == "first version");
    CHECK(contents(bench.place() + "/@one/d/s") == "first version");
    CHECK(contents(bench.at(second, "/d/f")) == "first VERS");
    CHECK(names_in(bench.at(third)) == std::set<std::string>{"null"});

    const struct stat old = status_of(bench.at(first, "/d/f"));
    CHECK(old.st_mode == (S_IFREG | 0640));
    CHECK(old.st_uid == 1000);
    CHECK(old.st_gid == 1001);
    CHECK(old.st_nlink == 1);
    CHECK(old.st_size == 13);
    CHECK(status_of(bench.at(second, "/hard")).st_nlink == 2);
    CHECK(status_of(bench.at(first, "/d")).st_mode == (S_IFDIR | 0751));
    CHECK(status_of(bench.at(first, "/null")).st_rdev == Bench::makedev_value);

    char value[64];
    REQUIRE(::getxattr(bench.at(first, "/d/f").c_str(), "user.colour", value, sizeof value) == 4);
    CHECK(std::string(value, 4) == "blue");
    REQUIRE(::getxattr(bench.at(second, "/d/f").c_str(), "user.colour", value, sizeof value) == 3);
    CHECK(::getxattr(bench.at(second, "/d/f").c_str(), "user.colour", value, 2) == -1);
    CHECK(errno == ERANGE);
    CHECK(::getxattr(bench.at(second, "/d/f").c_str(), "user.none", value, sizeof value) == -1);
    CHECK(errno == ENODATA);
    CHECK(::listxattr(bench.at(second, "/d/f").c_str(), value, sizeof value) == sizeof "user.colour");
}

TEST_CASE("past mount: hard links share a number within a moment, and moments share none") {
    if (!can_mount()) return;
    Bench bench;
    bench.make(directory, root, "d", S_IFDIR | 0755);
    bench.make(file, directory, "f", S_IFREG | 0644);
    bench.append(HF_LINK, file, journal::Link{root, "hard"});
    const Lsn first = bench.make(other, root, "other", S_IFREG | 0644);
    const Lsn second = bench.write(other, 0, "x");
    bench.bookmarks = {{"one", first, 1}};
    bench.mount();

    std::set<std::pair<dev_t, ino_t>> numbers;
    for (const std::string& top : {bench.place() + "/@one", bench.at(first), bench.at(second)}) {
        const struct stat one = status_of(top + "/d/f"), two = status_of(top + "/hard");
        CHECK(one.st_ino == two.st_ino);
        for (const struct stat& status : {one, status_of(top), status_of(top + "/d"), status_of(top + "/other")})
            CHECK(numbers.emplace(status.st_dev, status.st_ino).second);
    }
    // What getdents says agrees with stat.
    DIR* opened = ::opendir((bench.place() + "/@one/d").c_str());
    REQUIRE(opened);
    while (const dirent* entry = ::readdir(opened)) {
        if (std::string(entry->d_name) != "f") continue;
        CHECK(entry->d_ino == status_of(bench.place() + "/@one/d/f").st_ino);
        CHECK(entry->d_type == DT_REG);
    }
    ::closedir(opened);
}

TEST_CASE("past mount: holes are found, and block counts say that there are some") {
    if (!can_mount()) return;
    Bench bench;
    bench.make(file, root, "f", S_IFREG | 0644);
    bench.append(HF_TRUNCATE, file, journal::Truncate{1 << 20});
    const Lsn sparse = bench.write(file, 512 << 10, std::string(4096, 'x'));
    const Lsn full = bench.write(file, 0, std::string(1 << 20, 'y'));
    bench.mount();

    const int fd = ::open(bench.at(sparse, "/f").c_str(), O_RDONLY);
    REQUIRE(fd >= 0);
    CHECK(::lseek(fd, 0, SEEK_DATA) == 512 << 10);
    CHECK(::lseek(fd, 512 << 10, SEEK_HOLE) == (512 << 10) + 4096);
    CHECK(::lseek(fd, 0, SEEK_HOLE) == 0);
    CHECK(::lseek(fd, (512 << 10) + 4096, SEEK_DATA) == -1);
    CHECK(errno == ENXIO);
    CHECK(::lseek(fd, 1 << 20, SEEK_HOLE) == -1);
    ::close(fd);
    CHECK(status_of(bench.at(sparse, "/f")).st_blocks == 8);
    CHECK(status_of(bench.at(full, "/f")).st_blocks == 2048);
    CHECK(contents(bench.at(full, "/f")) == std::string(1 << 20, 'y'));
    std::string expected(1 << 20, '\0');
    expected.replace(512 << 10, 4096, std::string(4096, 'x'));
    CHECK(contents(bench.at(sparse, "/f")) == expected);
}

TEST_CASE("past mount: nothing can be changed, and what never was is not there") {
    if (!can_mount()) return;
    Bench bench;
    const Lsn first = bench.make(file, root, "f", S_IFREG | 0666);
    bench.mount();

    const std::string path = bench.at(first, "/f");
    CHECK(::open(path.c_str(), O_WRONLY) == -1);
    CHECK(errno == EROFS);
    CHECK(::unlink(path.c_str()) == -1);
    CHECK(errno == EROFS);
    CHECK(::mkdir((bench.place() + "/@x").c_str(), 0755) == -1);
    CHECK(::setxattr(path.c_str(), "user.x", "1", 1, 0) == -1);
    CHECK(errno == EROFS);
    struct stat status;
    for (const char* name : {"/@nothing", "/@lsn:999999999", "/@2001-01-01", "/nothing"}) {
        CHECK(::lstat((bench.place() + name).c_str(), &status) == -1);
        CHECK(errno == ENOENT);
    }
    CHECK(::lstat(bench.at(first, "/none").c_str(), &status) == -1);
    CHECK(errno == ENOENT);
    CHECK(::lstat(bench.at(first, "/f/below").c_str(), &status) == -1);
    CHECK(errno == ENOTDIR);
    struct statvfs filesystem;
    REQUIRE(::statvfs(bench.place().c_str(), &filesystem) == 0);
    CHECK((filesystem.f_flag & (ST_RDONLY | ST_NOSUID)) == (ST_RDONLY | ST_NOSUID));
    CHECK(filesystem.f_namemax == 255);
}

TEST_CASE("past mount: permissions are those of the moment, for every user") {
    if (!can_mount()) return;
    Bench bench;
    bench.make(file, root, "f", S_IFREG | 0600);
    const Lsn closed = bench.write(file, 0, "secret");
    const Lsn opened = bench.append(HF_SETATTR, file, journal::SetAttr{{HF_ATTR_MODE, S_IFREG | 0644, 0, 0, 0, 0, 0}});
    bench.mount();

    // The scratch directory is root's alone, so the child keeps a descriptor from before.
    const int place = ::open(bench.place().c_str(), O_PATH | O_DIRECTORY);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgid(4321) != 0 || ::setuid(4321) != 0) ::_exit(9);
        const std::string before = "@lsn:" + std::to_string(closed) + "/f",
                          after = "@lsn:" + std::to_string(opened) + "/f";
        if (::openat(place, before.c_str(), O_RDONLY) != -1 || errno != EACCES) ::_exit(1);
        ::_exit(::openat(place, after.c_str(), O_RDONLY) >= 0 ? 0 : 2);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    ::close(place);
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("past mount: a large directory is listed whole, and seeking in it comes back to the same names") {
    if (!can_mount()) return;
    Bench bench;
    Lsn last = 0;
    constexpr int count = 3000;
    for (int i = 0; i < count; ++i)
        last = bench.make({1000u + static_cast<uint64_t>(i), 1, 1}, root, "file-" + std::to_string(i), S_IFREG | 0644);
    bench.mount();

    DIR* opened = ::opendir(bench.at(last).c_str());
    REQUIRE(opened);
    std::map<std::string, long> places;
    long before = ::telldir(opened);
    while (const dirent* entry = ::readdir(opened)) {
        CHECK(places.emplace(entry->d_name, before).second);
        before = ::telldir(opened);
    }
    CHECK(places.size() == count + 2);
    for (const char* name : {"file-17", "file-2999", "file-0"}) {
        ::seekdir(opened, places[name]);
        CHECK(std::string(::readdir(opened)->d_name) == name);
    }
    ::closedir(opened);
    struct stat status;
    for (int i = 0; i < count; i += 97)
        CHECK(::lstat(bench.at(last, "/file-" + std::to_string(i)).c_str(), &status) == 0);
}

TEST_CASE("past mount: a relative moment is one moment for one process") {
    if (!can_mount()) return;
    Bench bench;
    bench.make(file, root, "f", S_IFREG | 0644);
    bench.write(file, 0, "old");
    bench.mount();
    CHECK(contents(bench.place() + "/@now/f") == "old");
    bench.write(file, 0, "new");
    bench.apply();

    CHECK(contents(bench.place() + "/@now/f") == "old");
    const pid_t child = ::fork();
    if (child == 0) {
        char bytes[3];
        const int fd = ::open((bench.place() + "/@now/f").c_str(), O_RDONLY);
        ::_exit(::read(fd, bytes, 3) == 3 && std::string_view(bytes, 3) == "new" ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(contents(bench.place() + "/@now/f") == "old");
}

TEST_CASE("past mount: nodes that the kernel gives back are forgotten") {
    if (!can_mount()) return;
    Bench bench;
    Lsn last = 0;
    for (int i = 0; i < 200; ++i)
        last = bench.make({1000u + static_cast<uint64_t>(i), 1, 1}, root, std::to_string(i), S_IFREG | 0644);
    bench.mount();
    for (int i = 0; i < 200; ++i) status_of(bench.at(last, "/" + std::to_string(i)));
    CHECK(bench.past().filesystem().nodes().size() >= 200);
    CHECK(unmount_past(bench.place()));
    // Nothing is given back by name at unmount: the end of the connection ends all of it.
    bench.end_mount();
    CHECK(detach_dead_mounts(bench.id()).empty());
}

TEST_CASE("past mount: an ordinary umount ends it, in use it is refused") {
    if (!can_mount()) return;
    Bench bench;
    const Lsn first = bench.make(file, root, "f", S_IFREG | 0644);
    bench.mount();
    const int fd = ::open(bench.at(first, "/f").c_str(), O_RDONLY);
    REQUIRE(fd >= 0);
    Status refused = unmount_past(bench.place());
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::busy);
    CHECK(!bench.past().has_ended());
    ::close(fd);
    // The kernel gives the file back a little after close() returned.
    int failed = -1;
    for (int attempt = 0; attempt < 100 && failed != 0; ++attempt) {
        failed = ::umount2(bench.place().c_str(), 0);
        if (failed != 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(failed == 0);
    for (int attempt = 0; attempt < 200 && !bench.past().has_ended(); ++attempt)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(bench.past().has_ended());
    CHECK(names_in(bench.place()).empty());
}

TEST_CASE("past mount: a dead mount is found in the mount table and detached") {
    if (!can_mount()) return;
    test::ScratchDirectory scratch;
    const journal::VolumeId volume = journal::random_volume_id();
    Bench bench;
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        auto mounted = PastMount::mount(bench, system_clock(), volume, scratch.path());
        if (!mounted || ::write(ready[1], "x", 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
    char byte;
    ::close(ready[1]);
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);

    CHECK(::access(scratch.path().c_str(), F_OK) == -1);
    CHECK(detach_dead_mounts(volume) == std::vector<std::string>{scratch.path()});
    CHECK(::access(scratch.path().c_str(), F_OK) == 0);
}

}  // namespace
}  // namespace holdfast::rewind
