#include "journal/recovery.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "test/support/journal_builder.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::journal;
using test::JournalBuilder;

namespace {

constexpr uint64_t segment_bytes = JournalBuilder::segment_bytes;
constexpr MiddleState middles[] = {MiddleState::whole,   MiddleState::missing_segment, MiddleState::corrupt,
                                   MiddleState::foreign, MiddleState::unreadable,      MiddleState::newer};
constexpr TailState tails[] = {TailState::empty, TailState::sealed, TailState::open, TailState::torn};

std::vector<std::string> cells_of(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) {
        size_t first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
        if (first != std::string::npos) cells.push_back(cell.substr(first, last - first + 1));
    }
    return cells;
}

// The rows of the page's table with six columns that begin with "case".
std::vector<std::vector<std::string>> documented_rows() {
    auto page = std::filesystem::path(HOLDFAST_SOURCE_DIR) / "docs/journal_recovery.md";
    std::ifstream file(page);
    REQUIRE(file.good());
    std::vector<std::vector<std::string>> rows;
    bool in_table = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("| case |")) in_table = true;
        else if (!line.starts_with("|")) in_table = false;
        else if (in_table && !line.starts_with("| ---")) rows.push_back(cells_of(line));
    }
    return rows;
}

struct Scene {
    test::ScratchDirectory scratch;
    std::unique_ptr<Disk> disk = open_disk(scratch.path()).value();
    JournalBuilder journal{*disk};

    Survey look(const SurveyHints& hints = {}) const { return survey(*disk, journal.volume, segment_bytes, hints).value(); }
};

// Reads of one file fail.
class UnreadableDisk final : public Disk {
public:
    UnreadableDisk(Disk& disk, std::string name) : disk_(disk), name_(std::move(name)) {}
    Result<std::unique_ptr<File>> open(std::string_view name, Open how) override {
        if (name == name_) return Error{ErrorCode::io, "open \"" + name_ + "\": Input/output error", 5};
        return disk_.open(name, how);
    }
    Status rename(std::string_view from, std::string_view to) override { return disk_.rename(from, to); }
    Status remove(std::string_view name) override { return disk_.remove(name); }
    Result<std::vector<std::string>> list() override { return disk_.list(); }
    Status sync_directory() override { return disk_.sync_directory(); }
    Result<uint64_t> free_bytes() override { return disk_.free_bytes(); }

private:
    Disk& disk_;
    std::string name_;
};

}  // namespace

TEST_CASE("recovery: every combination of what can be found belongs to exactly one case") {
    std::map<std::string_view, int> uses;
    for (MiddleState middle : middles) {
        for (TailState tail : tails) {
            for (int bits = 0; bits < 8; ++bits) {
                Survey survey;
                survey.middle = middle;
                survey.tail = tail;
                survey.closed_clean = bits & 1;
                Decision decision = decide(survey, bits & 2, bits & 4);
                ++uses[decision.name];
                const char* table = !(bits & 2) ? "other boot" : bits & 4 ? "closed" : "in use";
                int fitting = 0;
                for (const RecoveryCase& row : recovery_cases()) {
                    auto has = [](std::string cell, std::string_view value) {
                        return cell == "any" || (", " + cell + ",").find(", " + std::string(value) + ",") != std::string::npos;
                    };
                    fitting += has(row.middle, to_string(middle)) && has(row.tail, to_string(tail)) && has(row.table, table) &&
                               has(row.close, survey.closed_clean ? "yes" : "no");
                }
                INFO(to_string(middle) << ", " << to_string(tail) << ", " << table << ", close " << survey.closed_clean);
                CHECK(fitting == 1);
                CHECK_FALSE(decision.sentence.empty());
                // What the page promises beyond single rows.
                bool must_refuse = middle == MiddleState::foreign || middle == MiddleState::unreadable || middle == MiddleState::newer;
                CHECK((decision.action == Action::refuse) == must_refuse);
                if (middle == MiddleState::corrupt || middle == MiddleState::missing_segment)
                    CHECK(decision.action == Action::compare_everything);
                if (decision.action == Action::settle_in_flight) CHECK((bits & 2) != 0);
                if (decision.action == Action::resume) CHECK(tail != TailState::torn);
            }
        }
    }
    for (const RecoveryCase& row : recovery_cases()) {
        INFO(row.name);
        CHECK(uses[row.name] > 0);
    }
}

TEST_CASE("recovery: the page shows the rows of the table and no others") {
    auto rows = documented_rows();
    REQUIRE(rows.size() == recovery_cases().size());
    for (size_t i = 0; i < rows.size(); ++i) {
        const RecoveryCase& row = recovery_cases()[i];
        CHECK(rows[i] == std::vector<std::string>{row.name, row.middle, row.tail, row.table, row.close, action_name(row.action)});
    }
}

TEST_CASE("survey: no journal at all") {
    test::ScratchDirectory scratch;
    auto disk = open_disk(scratch.path()).value();
    std::ofstream(scratch / "inflight") << "x";
    std::ofstream(scratch / "spare-0000000000000000.new") << "x";
    Survey found = survey(*disk, random_volume_id(), segment_bytes).value();
    CHECK(found.middle == MiddleState::whole);
    CHECK(found.tail == TailState::empty);
    CHECK(found.end == 0);
    // A consumer that has read something proves that there was a journal.
    CHECK(survey(*disk, random_volume_id(), segment_bytes, {.taken = 4096})->middle == MiddleState::missing_segment);
}

TEST_CASE("survey: a journal that was closed in order") {
    Scene scene;
    scene.journal.add_session(true, false);
    scene.journal.add_write(100'000);
    scene.journal.seal();
    scene.journal.add_write(10);
    scene.journal.add_session(false, true);
    scene.journal.finish();
    for (bool check_chains : {false, true}) {
        Survey found = scene.look({.check_chains = check_chains});
        CHECK(found.middle == MiddleState::whole);
        CHECK(found.tail == TailState::sealed);
        CHECK(found.closed_clean);
        CHECK(found.records == 4);
        CHECK(found.end == 2 * segment_bytes);
        CHECK(found.last_segment == 1);
        CHECK(found.last_time_ns == scene.journal.time_ns - 1'000'000);
    }
}

TEST_CASE("survey: a clean close counts across sealed segments that hold nothing, and not when something followed") {
    Scene scene;
    scene.journal.add_session(false, true);
    scene.journal.seal();
    CHECK(scene.look().closed_clean);
    CHECK(scene.look().tail == TailState::open);
    scene.journal.seal();
    CHECK(scene.look().closed_clean);
    scene.journal.add_session(true, false);
    CHECK_FALSE(scene.look().closed_clean);
}

TEST_CASE("survey: an unclean close is not a clean one") {
    Scene scene;
    scene.journal.add_session(false, false);
    CHECK_FALSE(scene.look().closed_clean);
}

TEST_CASE("survey: whole records and then nothing is an open end") {
    Scene scene;
    scene.journal.add_write(10);
    Survey found = scene.look({.published = scene.journal.end()});
    CHECK(found.middle == MiddleState::whole);
    CHECK(found.tail == TailState::open);
    CHECK(found.end == scene.journal.end());
    CHECK(scene.look().tail == TailState::open);
}

TEST_CASE("survey: a torn last record is dropped, earlier ones stay") {
    Scene scene;
    scene.journal.add_write(1000);
    Lsn torn = scene.journal.add_write(100'000);
    // Every place in the record may be what the disk did not get.
    for (uint64_t offset : {0, 8, 24, 63, 64, 50'000, 100'063}) {
        INFO(offset);
        test::flip(*scene.disk, segment_name(0), torn + offset);
        Survey found = scene.look();
        CHECK(found.middle == MiddleState::whole);
        CHECK(found.tail == TailState::torn);
        CHECK(found.end == torn);
        CHECK(found.records == 1);
        test::flip(*scene.disk, segment_name(0), torn + offset);
    }
    CHECK(scene.look().records == 2);
}

TEST_CASE("survey: a hole before whole records is a torn end when nobody knows what was published") {
    Scene scene;
    scene.journal.add_write(1000);
    Lsn hole = scene.journal.hole(512);
    scene.journal.add_write(1000);
    Survey found = scene.look();
    CHECK(found.middle == MiddleState::whole);
    CHECK(found.tail == TailState::torn);
    CHECK(found.end == hole);
}

TEST_CASE("survey: a hole in a segment that was never sealed, with records in the next, is a torn end too") {
    Scene scene;
    scene.journal.add_write(1000);
    Lsn hole = scene.journal.hole(512);
    scene.journal.add_write(1000);
    scene.journal.leave_unsealed();
    scene.journal.add_write(1000);
    CHECK(scene.look().tail == TailState::torn);
    CHECK(scene.look().end == hole);
    CHECK(scene.look({.published = hole}).tail == TailState::open);
    CHECK(scene.look({.published = hole}).middle == MiddleState::whole);
}

TEST_CASE("survey: a hole beyond the published prefix is an open end, one below it is damage") {
    Scene scene;
    scene.journal.add_write(1000);
    Lsn hole = scene.journal.hole(512);
    scene.journal.add_write(1000);
    Survey found = scene.look({.published = hole});
    CHECK(found.middle == MiddleState::whole);
    CHECK(found.tail == TailState::open);
    CHECK(found.end == hole);
    found = scene.look({.published = hole + 8});
    CHECK(found.middle == MiddleState::corrupt);
    CHECK(found.damage == hole);
}

TEST_CASE("survey: a published end that is not there any more is damage") {
    Scene scene;
    scene.journal.add_write(1000);
    CHECK(scene.look({.published = scene.journal.end() + 64}).middle == MiddleState::corrupt);
    scene.journal.finish();
    CHECK(scene.look({.published = scene.journal.end()}).middle == MiddleState::whole);
    CHECK(scene.look({.published = scene.journal.end() + 8192}).middle == MiddleState::corrupt);
}

TEST_CASE("survey: damage with a record a minute younger behind it is damage, whoever died") {
    Scene scene;
    Lsn first = scene.journal.add_write(1000);
    Lsn second = scene.journal.add_write(1000);
    scene.journal.time_ns += 61'000'000'000;
    scene.journal.add_write(1000);
    test::flip(*scene.disk, segment_name(0), second + 100);
    Survey found = scene.look();
    CHECK(found.middle == MiddleState::corrupt);
    CHECK(found.damage == second);
    CHECK(found.end == second);
    CHECK(found.last_time_ns == 1'000'000'000);
    (void)first;
}

TEST_CASE("survey: damage inside a sealed segment is found by its chain, or when all is read") {
    Scene scene;
    Lsn damaged = scene.journal.add_write(1000);
    scene.journal.seal();
    scene.journal.add_write(1000);
    scene.journal.seal();
    scene.journal.add_write(1000);
    test::flip(*scene.disk, segment_name(0), damaged + 70);
    CHECK(scene.look().middle == MiddleState::whole);
    scene.journal.time_ns += 61'000'000'000;
    scene.journal.add_write(1000);
    Survey found = scene.look({.check_chains = true});
    CHECK(found.middle == MiddleState::corrupt);
    CHECK(found.damage == damaged);
}

TEST_CASE("survey: a segment that does not continue the chain is damage") {
    Scene scene, other;
    scene.journal.add_write(1000);
    scene.journal.seal();
    scene.journal.add_write(1000);
    scene.journal.seal();
    scene.journal.add_write(1000);
    // The second segment of the same volume, as it was in another life.
    other.journal.volume = scene.journal.volume;
    JournalBuilder stranger(*other.disk, 1);
    std::filesystem::remove(other.scratch / segment_name(1));
    std::filesystem::remove(other.scratch / segment_name(0));
    auto twin_directory = other.scratch / "twin";
    std::filesystem::create_directory(twin_directory);
    auto twin_disk = open_disk(twin_directory).value();
    JournalBuilder twin(*twin_disk, 1);
    twin.add_write(2000);
    twin.seal();
    // Under the right volume its header is accepted; its chain is not.
    std::filesystem::remove(scene.scratch / segment_name(1));
    std::filesystem::copy(twin_directory + "/" + segment_name(1), scene.scratch / segment_name(1));
    SegmentHeader header;
    header.volume = scene.journal.volume;
    header.index = 1;
    header.segment_bytes = segment_bytes;
    auto file = scene.disk->open(segment_name(1), Disk::Open::existing).value();
    REQUIRE(file->pwrite(ByteSpan(encode_segment_header(header)), 0));
    Survey found = scene.look();
    CHECK(found.middle == MiddleState::corrupt);
    CHECK(found.damage == segment_bytes);
}

TEST_CASE("survey: a missing segment in the middle") {
    Scene scene;
    for (int i = 0; i < 3; ++i) {
        scene.journal.add_write(1000);
        scene.journal.seal();
    }
    scene.journal.add_write(1000);
    REQUIRE(scene.disk->remove(segment_name(1)));
    Survey found = scene.look();
    CHECK(found.middle == MiddleState::missing_segment);
    CHECK(found.damage == segment_bytes);
    CHECK(found.end == segment_bytes);
    CHECK(found.sentence.find(segment_name(1)) != std::string::npos);
    // Nobody needs it any more.
    CHECK(scene.look({.needed = 2 * segment_bytes}).middle == MiddleState::whole);
    CHECK(scene.look({.needed = 2 * segment_bytes}).first_segment == 2);
    CHECK(scene.look({.needed = 2 * segment_bytes - 8}).middle == MiddleState::missing_segment);
}

TEST_CASE("survey: released segments at the front are not missed, and the chain goes on from the first that is left") {
    Scene scene;
    for (int i = 0; i < 3; ++i) {
        scene.journal.add_write(1000);
        scene.journal.seal();
    }
    scene.journal.add_write(1000);
    REQUIRE(scene.disk->remove(segment_name(0)));
    REQUIRE(scene.disk->remove(segment_name(1)));
    for (bool check_chains : {false, true}) {
        Survey found = scene.look({.check_chains = check_chains});
        CHECK(found.middle == MiddleState::whole);
        CHECK(found.first_segment == 2);
        CHECK(found.end == scene.journal.end());
    }
}

TEST_CASE("survey: a first segment whose file was never cut behind its seal still says where the chain stands") {
    Scene scene;
    std::vector<Lsn> seals;
    for (int i = 0; i < 3; ++i) {
        scene.journal.add_write(1000);
        seals.push_back(scene.journal.end());
        scene.journal.seal_uncut();
    }
    scene.journal.add_write(1000);
    scene.journal.seal();
    scene.journal.add_write(1000);
    REQUIRE(scene.disk->remove(segment_name(0)));
    const Survey found = scene.look({});
    CHECK(found.middle == MiddleState::whole);
    CHECK(found.end == scene.journal.end());
    // It tells of those that are still to be cut, and of no other.
    REQUIRE(found.uncut.size() == 2);
    for (size_t i = 0; i < found.uncut.size(); ++i) {
        CHECK(found.uncut[i].segment == i + 1);
        CHECK(found.uncut[i].seal == seals[i + 1]);
    }
    // And one that nobody needs any more says it for its successor.
    const Survey needed = scene.look({.needed = scene.journal.end()});
    CHECK(needed.middle == MiddleState::whole);
    CHECK(needed.chain.after() == found.chain.after());
}

TEST_CASE("survey: a damaged header is damage where records follow, and the end where nothing does") {
    Scene scene;
    scene.journal.add_write(1000);
    scene.journal.seal();
    test::overwrite(*scene.disk, segment_name(1), 0, 4096, '\0');
    Survey found = scene.look();
    CHECK(found.middle == MiddleState::whole);
    CHECK(found.end == segment_bytes);
    scene.journal.add_write(1000);
    found = scene.look();
    CHECK(found.middle == MiddleState::corrupt);
    CHECK(found.damage == segment_bytes);
}

TEST_CASE("survey: a segment of another volume, a newer one, and one that cannot be read are left alone") {
    Scene scene;
    scene.journal.add_write(1000);
    scene.journal.seal();
    scene.journal.add_write(1000);
    CHECK(survey(*scene.disk, random_volume_id(), segment_bytes)->middle == MiddleState::foreign);

    UnreadableDisk broken(*scene.disk, segment_name(1));
    Survey found = survey(broken, scene.journal.volume, segment_bytes).value();
    CHECK(found.middle == MiddleState::unreadable);
    CHECK(found.sentence.find("Input/output error") != std::string::npos);

    std::vector<std::byte> bytes = encode_segment_header({scene.journal.volume, 1, segment_bytes});
    hf_segment_header header;
    memcpy(&header, bytes.data(), sizeof header);
    header.version = HF_JOURNAL_VERSION + 1;
    header.checksum = 0;
    memcpy(bytes.data(), &header, sizeof header);
    header.checksum = xxh3_64_without(bytes, offsetof(hf_segment_header, checksum));
    auto file = scene.disk->open(segment_name(1), Disk::Open::existing).value();
    REQUIRE(file->pwrite(bytes_of(header), 0));
    CHECK(scene.look().middle == MiddleState::newer);
}

TEST_CASE("survey: a kind of record that this program does not know is a newer format") {
    Scene scene;
    Lsn lsn = scene.journal.add_write(1000);
    auto file = scene.disk->open(segment_name(0), Disk::Open::existing).value();
    std::vector<std::byte> bytes(sizeof(hf_record_header) + 1000);
    REQUIRE(file->pread(bytes, lsn));
    hf_record_header header;
    memcpy(&header, bytes.data(), sizeof header);
    header.type = 999;
    memcpy(bytes.data(), &header, sizeof header);
    header.checksum = xxh3_64_without(bytes, offsetof(hf_record_header, checksum));
    REQUIRE(file->pwrite(bytes_of(header), lsn));
    CHECK(scene.look().middle == MiddleState::newer);
}
