#include "rewind/bookmarks.h"

#include <cstring>

#include "test/rewind/index_bench.h"
#include "test/support/faulty_disk.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

std::unique_ptr<Bookmarks> open_bookmarks(Disk& disk) {
    return value_of(Bookmarks::open(disk));
}

std::vector<std::string> names_of(const Bookmarks& bookmarks) {
    std::vector<std::string> names;
    for (const BookmarkEntry& entry : bookmarks.list()) names.push_back(entry.name);
    return names;
}

TEST_CASE("bookmarks: the catalog follows the undo log, and each record is taken once") {
    Bench bench;
    UndoSamples samples;
    MemoryDisk disk;
    auto bookmarks = open_bookmarks(disk);
    const auto mark = [&](const std::string& name) { bench.append(samples.record(HF_BOOKMARK, {}, {samples.event(name)})); };
    mark("one");
    bench.append(samples.record(HF_GAP_BEGIN, {}, {samples.event("gap")}));
    mark("two");
    const Lsn applied = samples.next_lsn;
    mark("not applied yet");
    require(bookmarks->follow(*bench.index, *bench.log, applied));
    CHECK(names_of(*bookmarks) == std::vector<std::string>{"one", "two"});
    CHECK(bookmarks->find("one")->lsn == 4096);
    CHECK(bookmarks->covered() == applied);
    require(bookmarks->remove("one"));
    require(bookmarks->rename("two", "second"));
    require(bookmarks->follow(*bench.index, *bench.log, samples.next_lsn));
    CHECK(names_of(*bookmarks) == std::vector<std::string>{"second", "not applied yet"});

    // Reopened, nothing that was renamed or deleted comes back.
    bookmarks = open_bookmarks(disk);
    require(bookmarks->follow(*bench.index, *bench.log, samples.next_lsn));
    CHECK(names_of(*bookmarks) == std::vector<std::string>{"second", "not applied yet"});
}

TEST_CASE("bookmarks: more than one question's worth of them is taken in whole") {
    Bench bench;
    UndoSamples samples;
    MemoryDisk disk;
    auto bookmarks = open_bookmarks(disk);
    for (int i = 0; i < 4100; ++i) bench.append(samples.record(HF_BOOKMARK, {}, {samples.event("b" + std::to_string(i))}));
    require(bookmarks->follow(*bench.index, *bench.log, samples.next_lsn));
    CHECK(bookmarks->list().size() == 4100);
    CHECK(bookmarks->list().back().name == "b4099");
}

TEST_CASE("bookmarks: a name that comes twice is two moments") {
    MemoryDisk disk;
    auto bookmarks = open_bookmarks(disk);
    require(bookmarks->add({{"a", 10, 1}, {"a", 20, 2}}, 30));
    require(bookmarks->add({{"a", 40, 3}}, 50));
    CHECK(names_of(*bookmarks) == std::vector<std::string>{"a", "a-2", "a-3"});
    CHECK(bookmarks->find("a-3")->lsn == 40);
    // What lies below the covered address was seen already.
    require(bookmarks->add({{"late", 45, 3}}, 50));
    CHECK_FALSE(bookmarks->find("late"));
}

TEST_CASE("bookmarks: renaming and removing say what is wrong") {
    MemoryDisk disk;
    auto bookmarks = open_bookmarks(disk);
    require(bookmarks->add({{"a", 10, 1}, {"b", 20, 2}}, 30));
    CHECK(bookmarks->rename("x", "y").error().code == ErrorCode::not_found);
    CHECK(bookmarks->rename("a", "b").error().code == ErrorCode::exists);
    CHECK(bookmarks->rename("a", "10m").error().code == ErrorCode::invalid_argument);
    CHECK(bookmarks->rename("a", "x/y").error().code == ErrorCode::invalid_argument);
    CHECK(bookmarks->remove("x").error().code == ErrorCode::not_found);
    require(bookmarks->rename("a", "a"));
    CHECK(names_of(*bookmarks) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("bookmarks: names of any bytes survive the file") {
    MemoryDisk disk;
    const std::string odd = "caf\xe9 \xf0\x9f\x98\x80 \"quoted\"\n";
    require(open_bookmarks(disk)->add({{odd, 10, 1}}, 30));
    CHECK(names_of(*open_bookmarks(disk)) == std::vector<std::string>{odd});
}

TEST_CASE("bookmarks: a damaged catalog is set aside and rebuilt from the log") {
    Bench bench;
    UndoSamples samples;
    bench.append(samples.record(HF_BOOKMARK, {}, {samples.event("kept")}));
    for (const std::string damage : {"", "{", "[]", "{\"covered\": 1}", "{\"covered\": 1, \"bookmarks\": [{\"name\": 3}]}"}) {
        MemoryDisk disk;
        require(open_bookmarks(disk)->add({{"old", 10, 1}}, 4000));
        std::vector<std::byte> bytes(damage.size());
        memcpy(bytes.data(), damage.data(), damage.size());
        disk.set_contents("bookmarks.json", bytes);
        auto bookmarks = open_bookmarks(disk);
        CHECK(bookmarks->list().empty());
        require(bookmarks->follow(*bench.index, *bench.log, samples.next_lsn));
        CHECK(names_of(*bookmarks) == std::vector<std::string>{"kept"});
        CHECK(disk.contents("bookmarks.damaged.json").size() == damage.size());
    }
}

TEST_CASE("bookmarks: whichever call to the disk fails, the catalog is the old or the new one") {
    for (uint64_t call = 1;; ++call) {
        MemoryDisk memory;
        require(open_bookmarks(memory)->add({{"old", 10, 1}}, 30));
        FaultyDisk disk(memory);
        auto bookmarks = open_bookmarks(disk);
        const uint64_t opened = disk.call_count();
        disk.fail_at(call, Fault::stop, EIO);
        const Status status = bookmarks->add({{"new", 40, 2}}, 50);
        INFO("call " << call << ", " << disk.failed_call());
        if (status) {
            CHECK(disk.call_count() - opened < call);
            break;
        }
        // In memory nothing is there that is not on disk.
        CHECK_FALSE(bookmarks->find("new"));
        std::mt19937_64 random(call);
        auto after = memory.after_power_loss(random);
        const auto names = names_of(*open_bookmarks(*after));
        CHECK((names == std::vector<std::string>{"old"} || names == std::vector<std::string>{"old", "new"}));
    }
}

}  // namespace
}  // namespace holdfast::rewind
