#include "journal/cursor.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "journal/record.h"
#include "journal/recovery.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::journal;

namespace {

using Cursors = std::vector<std::pair<std::string, Lsn>>;

struct CursorDirectory {
    test::ScratchDirectory scratch;
    std::unique_ptr<Disk> disk = open_disk(scratch.path()).value();
    VolumeId volume = random_volume_id();

    std::string contents(const std::string& name) const {
        std::ifstream file(scratch / name);
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    void overwrite(const std::string& name, const std::string& contents) const {
        std::ofstream(scratch / name, std::ios::trunc) << contents;
    }
};

}  // namespace

TEST_CASE("cursor: a position comes back as it was saved, the newest one per consumer") {
    CursorDirectory cursors;
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, "store", 4096));
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, "replica-1", lsn_max - 1));
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, "store", 8192));
    CHECK(*load_cursors(*cursors.disk, cursors.volume) == Cursors{{"replica-1", lsn_max - 1}, {"store", 8192}});
    CHECK(*lowest_cursor(*cursors.disk, cursors.volume) == std::optional<Lsn>(8192));
}

TEST_CASE("cursor: without a consumer there is no lowest position") {
    CursorDirectory cursors;
    CHECK(*lowest_cursor(*cursors.disk, cursors.volume) == std::nullopt);
}

TEST_CASE("cursor: every damaged byte and every cut makes it position zero, which only keeps more") {
    CursorDirectory cursors;
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, "store", 123456789));
    const std::string whole = cursors.contents("store");
    REQUIRE(!whole.empty());
    for (size_t place = 0; place < whole.size(); ++place) {
        std::string damaged = whole;
        damaged[place] = static_cast<char>(damaged[place] ^ 1);
        cursors.overwrite("store", damaged);
        INFO("byte " << place);
        CHECK(*lowest_cursor(*cursors.disk, cursors.volume) == std::optional<Lsn>(0));
        cursors.overwrite("store", whole.substr(0, place));
        CHECK(*lowest_cursor(*cursors.disk, cursors.volume) == std::optional<Lsn>(0));
    }
    for (const std::string& more : {whole + "x", whole + whole, std::string(100'000, '7'), std::string(600, '\0')}) {
        cursors.overwrite("store", more);
        CHECK(*lowest_cursor(*cursors.disk, cursors.volume) == std::optional<Lsn>(0));
    }
}

TEST_CASE("cursor: one of another volume counts as zero") {
    CursorDirectory cursors;
    REQUIRE(save_cursor(*cursors.disk, random_volume_id(), "store", 4096));
    CHECK(*load_cursors(*cursors.disk, cursors.volume) == Cursors{{"store", 0}});
}

TEST_CASE("cursor: a crash in the middle of saving leaves the old position") {
    CursorDirectory cursors;
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, "store", 4096));
    cursors.overwrite("store.new", "holdfast-cur");
    CHECK(*load_cursors(*cursors.disk, cursors.volume) == Cursors{{"store", 4096}});
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, "store", 8192));
    CHECK(*load_cursors(*cursors.disk, cursors.volume) == Cursors{{"store", 8192}});
}

TEST_CASE("cursor: the place that earlier versions kept for a replica that did not exist yet holds nothing, whole or damaged") {
    CursorDirectory cursors;
    test::ScratchDirectory beside;
    auto table = InflightTable::open(beside / "inflight", cursors.volume).value();
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, store_consumer, 4096));
    std::string line = "holdfast-cursor 1 " + to_string(cursors.volume) + " 0";
    char checksum[18];
    std::snprintf(checksum, sizeof checksum, " %016llx", static_cast<unsigned long long>(xxh3_64(bytes_of(line))));
    line += std::string(checksum) + "\n";
    for (const std::string& text : {line, std::string("holdfast-cur"), std::string(600, 'x')}) {
        cursors.overwrite("seed", text);
        CHECK(*load_cursors(*cursors.disk, cursors.volume) == Cursors{{"store", 4096}});
        CHECK(*lowest_cursor(*cursors.disk, cursors.volume) == std::optional<Lsn>(4096));
        CHECK(survey_hints(*cursors.disk, cursors.volume, *table)->needed == 4096);
    }
}

TEST_CASE("cursor: recovery needs what the store has not taken, and everything once anybody else follows") {
    CursorDirectory cursors;
    test::ScratchDirectory beside;
    auto table = InflightTable::open(beside / "inflight", cursors.volume).value();
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, store_consumer, 4096));
    auto hints = survey_hints(*cursors.disk, cursors.volume, *table);
    REQUIRE(hints);
    CHECK(hints->needed == 4096);
    CHECK(hints->taken == 4096);
    CHECK(hints->published == 0);
    CHECK(hints->reserved == lsn_max);
    REQUIRE(save_cursor(*cursors.disk, cursors.volume, "replica-b", 8192));
    hints = survey_hints(*cursors.disk, cursors.volume, *table);
    REQUIRE(hints);
    CHECK(hints->needed == 0);
    CHECK(hints->taken == 8192);
}

TEST_CASE("cursor: a replica that holds the journal is cut off alone, and only while it is behind the store") {
    CursorDirectory cursors;
    const auto save = [&](std::string_view consumer, Lsn at) { REQUIRE(save_cursor(*cursors.disk, cursors.volume, consumer, at)); };
    save(store_consumer, 500);
    save("replica-slow", 100);
    save("replica-slower", 90);
    save("replica-fast", 450);
    // In the segment that the store holds itself, nobody is cut off: it would free nothing.
    CHECK(cut_off_replicas(*cursors.disk, cursors.volume, 1000, 1000)->empty());
    CHECK(cut_off_replicas(*cursors.disk, cursors.volume, 1, 200).value() == std::vector<std::string>{"replica-slow", "replica-slower"});
    CHECK(load_cursors(*cursors.disk, cursors.volume)->size() == 2);
    CHECK(cut_off_replicas(*cursors.disk, cursors.volume, 1, 200)->empty());
    // The store itself is what holds the journal.
    save(store_consumer, 450);
    CHECK(cut_off_replicas(*cursors.disk, cursors.volume, 1, 10'000)->empty());
    CHECK(load_cursors(*cursors.disk, cursors.volume)->size() == 2);
}
