#include <catch2/catch.hpp>
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "journal/recovery.h"
#include "test/support/journal_builder.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::journal;
using test::JournalBuilder;
using test::records_of;
using test::StreamRecord;

namespace {

constexpr uint64_t segment_bytes = JournalBuilder::segment_bytes;

// Stops at the Nth call that changes something: that one and all later ones fail, as after SIGKILL.
struct Fuse {
    size_t calls = 0, stop_at = SIZE_MAX;
    Status burn() {
        if (++calls >= stop_at) return Error{ErrorCode::io, "stopped by the test"};
        return ok();
    }
};

class FusedFile final : public File {
public:
    FusedFile(std::unique_ptr<File> file, Fuse& fuse) : file_(std::move(file)), fuse_(fuse) {}
    Result<size_t> pread(MutableByteSpan data, uint64_t offset) override { return file_->pread(data, offset); }
    Status pwrite(std::span<const ByteSpan> pieces, uint64_t offset) override {
        auto burnt = fuse_.burn();
        // The call that is interrupted has written a part.
        if (!burnt && fuse_.calls == fuse_.stop_at && !pieces.empty())
            (void)file_->File::pwrite(pieces[0].first(pieces[0].size() / 2), offset);
        return burnt ? file_->pwrite(pieces, offset) : burnt;
    }
    Status sync() override { return file_->sync(); }
    Status allocate(uint64_t bytes) override { return file_->allocate(bytes); }
    Status truncate(uint64_t bytes) override {
        auto burnt = fuse_.burn();
        return burnt ? file_->truncate(bytes) : burnt;
    }
    Result<uint64_t> size() override { return file_->size(); }
    int fd() const override { return file_->fd(); }

private:
    std::unique_ptr<File> file_;
    Fuse& fuse_;
};

class FusedDisk final : public Disk {
public:
    FusedDisk(Disk& disk, Fuse& fuse) : disk_(disk), fuse_(fuse) {}
    Result<std::unique_ptr<File>> open(std::string_view name, Open how) override {
        if (how == Open::create_new) {
            if (auto burnt = fuse_.burn(); !burnt) return std::move(burnt).error();
        }
        auto file = disk_.open(name, how);
        if (!file) return file;
        return std::unique_ptr<File>(new FusedFile(std::move(*file), fuse_));
    }
    Status rename(std::string_view from, std::string_view to) override { return disk_.rename(from, to); }
    Status remove(std::string_view name) override { return disk_.remove(name); }
    Result<std::vector<std::string>> list() override { return disk_.list(); }
    Status sync_directory() override {
        auto burnt = fuse_.burn();
        return burnt ? disk_.sync_directory() : burnt;
    }
    Result<uint64_t> free_bytes() override { return disk_.free_bytes(); }

private:
    Disk& disk_;
    Fuse& fuse_;
};

struct Scene {
    test::ScratchDirectory scratch;
    std::unique_ptr<Disk> disk;
    std::unique_ptr<JournalBuilder> journal;
    std::unique_ptr<InflightTable> table;
    std::vector<Lsn> asked;                                  // which slots SETTLE was asked about
    std::vector<Lsn> effective;                              // and which of them took effect

    Scene() {
        std::filesystem::create_directory(scratch / "journal");
        disk = open_disk(scratch / "journal").value();
        journal = std::make_unique<JournalBuilder>(*disk);
    }

    // The table of this host run, whose writer had published and reserved so much.
    void host_lives(Lsn published) {
        auto made = InflightTable::open(scratch / "inflight", journal->volume).value();
        auto boot = current_boot_id();
        memcpy(made->head().boot_id, boot.data(), boot.size());
        made.reset();
        table = InflightTable::open(scratch / "inflight", journal->volume).value();
        REQUIRE(table->survived());
        table->head().published = published;
        table->head().reserved = journal->end();
    }
    void host_dies() {
        table = InflightTable::open(scratch / "inflight", journal->volume).value();
        REQUIRE_FALSE(table->survived());
    }

    Slot& occupy(size_t index, Lsn lsn, uint32_t length, uint64_t request, const Record& intent) {
        Slot& slot = table->slots()[index];
        slot.lsn = lsn;
        slot.length = length;
        slot.request = request;
        Record record = intent;
        record.lsn = lsn;
        EncodedRecord encoded(record, encoded_length(record.body));
        slot.intent_length = 0;
        for (ByteSpan piece : encoded.pieces()) {
            memcpy(slot.intent + slot.intent_length, piece.data(), piece.size());
            slot.intent_length += static_cast<uint32_t>(piece.size());
        }
        slot.state = static_cast<uint32_t>(SlotState::intent);
        return slot;
    }

    SurveyHints hints() const { return {.published = table->survived() ? table->head().published.load() : 0}; }
    Survey look(const SurveyHints& hints) const { return survey(*disk, journal->volume, segment_bytes, hints).value(); }

    Result<RepairReport> repair_through(Disk& through, SurveyHints hints) {
        auto found = survey(through, journal->volume, segment_bytes, hints);
        REQUIRE(found);
        auto settle = [this](Slot& slot, const Record& intent) -> Result<std::optional<Record>> {
            asked.push_back(slot.lsn);
            CHECK(intent.lsn == slot.lsn);
            CHECK(intent.type == HF_TRUNCATE);
            if (std::find(effective.begin(), effective.end(), slot.lsn) == effective.end()) return std::optional<Record>();
            slot.answer_value = 77;
            Record record = intent;
            return std::optional<Record>(record);
        };
        return journal::repair(through, journal->volume, segment_bytes, *found, *table, settle, hints);
    }
    RepairReport repair() {
        auto report = repair_through(*disk, hints());
        if (!report) FAIL(report.error().message);
        return *report;
    }
    std::vector<StreamRecord> records() const { return records_of(*disk, journal->volume, segment_bytes); }
    void expect_whole(const RepairReport& report) const {
        Survey after = look({.check_chains = true});
        CHECK(after.middle == MiddleState::whole);
        CHECK(after.tail == TailState::sealed);
        CHECK(after.end == report.end);
        CHECK(after.chain.before() == report.stream_end.chain);
        CHECK(report.end == report.stream_end.next_segment * segment_bytes);
    }
};

Record truncate_record() {
    Record record;
    record.type = HF_TRUNCATE;
    record.object = {42, 7, 1};
    record.body = Truncate{123};
    return record;
}

const uint32_t truncate_length = encoded_length(Truncate{});

uint32_t state_of(const Slot& slot) { return slot.state.load(); }

}  // namespace

TEST_CASE("repair: a fresh directory stays empty") {
    Scene scene;
    REQUIRE(scene.disk->remove(segment_name(0)));
    scene.host_dies();
    RepairReport report = scene.repair();
    CHECK(report.stream_end.next_segment == 0);
    CHECK(report.end == 0);
    CHECK(scene.disk->list()->empty());
}

TEST_CASE("repair: a sealed journal is not touched") {
    Scene scene;
    scene.journal->add_write(10);
    scene.journal->finish();
    scene.host_dies();
    Fuse fuse;
    FusedDisk counted(*scene.disk, fuse);
    auto report = scene.repair_through(counted, {});
    REQUIRE(report);
    CHECK(fuse.calls == 0);
    CHECK(report->stream_end.next_segment == 1);
    scene.expect_whole(*report);
}

TEST_CASE("repair: after a process crash the open end is sealed and every record stays") {
    Scene scene;
    scene.journal->add_write(1000);
    scene.journal->add_write(5);
    scene.host_lives(scene.journal->end());
    auto before = scene.records();
    RepairReport report = scene.repair();
    scene.expect_whole(report);
    auto after = scene.records();
    REQUIRE(after.size() == before.size() + 1);
    CHECK(after.back().type == HF_SEGMENT_END);
    after.pop_back();
    CHECK(after == before);
    CHECK(report.dropped_from == lsn_max);
    CHECK(report.end == segment_bytes);
}

TEST_CASE("repair: writers that died one after the other leave nothing that is never cut") {
    Scene scene;
    std::vector<Lsn> seals;
    for (const bool is_sealed : {true, true, false, false}) {
        scene.journal->add_write(1000);
        seals.push_back(scene.journal->end());
        if (is_sealed) scene.journal->seal_uncut();
        else scene.journal->leave_unsealed();
    }
    seals.push_back(scene.journal->end());
    scene.host_lives(segment_begin(2, segment_bytes));
    const RepairReport report = scene.repair();
    scene.expect_whole(report);
    REQUIRE(report.stream_end.uncut.size() == seals.size());
    for (size_t i = 0; i < seals.size(); ++i) {
        CHECK(report.stream_end.uncut[i].segment == i);
        CHECK(report.stream_end.uncut[i].seal == seals[i]);
    }
}

TEST_CASE("repair: slots are settled by what the backing tree says, holes without a slot become void") {
    Scene scene;
    Lsn before = scene.journal->add_write(1000);
    Lsn done = scene.journal->hole(truncate_length);
    Lsn unknown = scene.journal->hole(64 + 8 * 100);
    Lsn behind = scene.journal->add_write(16);
    Lsn undone = scene.journal->hole(truncate_length + 40);
    Lsn last = scene.journal->hole(truncate_length);
    scene.host_lives(done);
    Slot& first = scene.occupy(3, done, truncate_length, 100, truncate_record());
    Slot& second = scene.occupy(1, undone, truncate_length + 40, 101, truncate_record());
    Slot& third = scene.occupy(7, last, truncate_length, 102, truncate_record());
    scene.effective = {done, last};

    RepairReport report = scene.repair();

    CHECK(scene.asked == std::vector<Lsn>{done, undone, last});
    CHECK(report.settled_done == 2);
    CHECK(report.settled_void == 1);
    CHECK(report.holes_filled == 1);
    auto records = scene.records();
    REQUIRE(records.size() == 7);
    CHECK(records[0] == StreamRecord{before, records[0].length, HF_WRITE});
    CHECK(records[1] == StreamRecord{done, truncate_length, HF_TRUNCATE});
    CHECK(records[2] == StreamRecord{unknown, 64 + 8 * 100, HF_VOID});
    CHECK(records[3] == StreamRecord{behind, records[3].length, HF_WRITE});
    CHECK(records[4] == StreamRecord{undone, truncate_length + 40, HF_VOID});
    CHECK(records[5] == StreamRecord{last, truncate_length, HF_TRUNCATE});
    CHECK(records[6].type == HF_SEGMENT_END);
    // A request that comes again finds its answer, or is carried out because it never was.
    CHECK(state_of(first) == static_cast<uint32_t>(SlotState::recorded));
    CHECK((first.request == 100 && first.answer_value == 77));
    CHECK(state_of(second) == static_cast<uint32_t>(SlotState::idle));
    CHECK(second.request == 0);
    CHECK(state_of(third) == static_cast<uint32_t>(SlotState::recorded));
    scene.expect_whole(report);
}

TEST_CASE("repair: a half-written record with a slot is settled, whatever its bytes pretend to be") {
    Scene scene;
    scene.journal->add_write(1000);
    // The data of a write that an application made look like a record at its own address.
    Lsn torn = scene.journal->hole(0);
    Record fake = truncate_record();
    fake.lsn = torn + 128;
    EncodedRecord encoded(fake, truncate_length);
    std::string data(64, 'x');
    for (ByteSpan piece : encoded.pieces()) data.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    uint32_t length = static_cast<uint32_t>(64 + data.size());
    scene.journal->add_write(data.size());
    auto file = scene.disk->open(segment_name(0), Disk::Open::existing).value();
    REQUIRE(file->pwrite(bytes_of(data), torn + 64));
    scene.host_lives(torn);
    scene.occupy(0, torn, length, 1, truncate_record());
    RepairReport report = scene.repair();
    auto records = scene.records();
    REQUIRE(records.size() == 3);
    CHECK(records[1] == StreamRecord{torn, length, HF_VOID});
    CHECK(report.settled_void == 1);
    scene.expect_whole(report);
}

TEST_CASE("repair: segments that a rotation left unsealed are sealed with the chain through what was filled in") {
    Scene scene;
    scene.journal->add_write(1000);
    Lsn slotted = scene.journal->hole(truncate_length);
    scene.journal->add_write(1000);
    scene.journal->leave_unsealed();
    scene.journal->hole(64);
    scene.journal->add_write(1000);
    scene.journal->leave_unsealed();
    scene.journal->add_write(10);
    scene.host_lives(slotted);
    scene.occupy(0, slotted, truncate_length, 1, truncate_record());
    scene.effective = {slotted};
    RepairReport report = scene.repair();
    CHECK(report.stream_end.next_segment == 3);
    CHECK(report.holes_filled == 1);
    scene.expect_whole(report);
    std::vector<hf_record_type> types;
    for (const auto& record : scene.records()) types.push_back(record.type);
    CHECK(types == std::vector<hf_record_type>{HF_WRITE, HF_TRUNCATE, HF_WRITE, HF_SEGMENT_END, HF_VOID, HF_WRITE, HF_SEGMENT_END, HF_WRITE, HF_SEGMENT_END});
}

TEST_CASE("repair: a slot in a segment whose file never got its name is settled there") {
    Scene scene;
    scene.journal->add_write(1000);
    scene.host_lives(scene.journal->end());
    Lsn lsn = segment_bytes + HF_SEGMENT_HEADER_BYTES;
    scene.table->head().reserved = lsn + truncate_length;
    scene.occupy(0, lsn, truncate_length, 1, truncate_record());
    scene.effective = {lsn};
    RepairReport report = scene.repair();
    CHECK(report.settled_done == 1);
    CHECK(report.stream_end.next_segment == 2);
    scene.expect_whole(report);
}

TEST_CASE("repair: a slot whose record already stands is asked for its answer and keeps its record") {
    Scene scene;
    Lsn standing = scene.journal->add(truncate_record());
    Lsn voided = scene.journal->add(Record{});
    scene.journal->seal();
    scene.journal->add_write(10);
    scene.host_lives(scene.journal->end());
    Slot& done = scene.occupy(0, standing, truncate_length, 5, truncate_record());
    Slot& failed = scene.occupy(1, voided, 64, 6, truncate_record());
    scene.effective = {standing, voided};
    RepairReport report = scene.repair();
    CHECK(report.settled_done == 0);
    CHECK(scene.asked == std::vector<Lsn>{standing});
    CHECK(state_of(done) == static_cast<uint32_t>(SlotState::recorded));
    CHECK(done.answer_value == 77);
    CHECK(state_of(failed) == static_cast<uint32_t>(SlotState::idle));
    CHECK(failed.request == 0);
    scene.expect_whole(report);
}

TEST_CASE("repair: an operation that was not recorded is asked for its answer alone") {
    Scene scene;
    scene.journal->add_write(1000);
    scene.host_lives(scene.journal->end());
    const Lsn end = scene.journal->end();
    Slot& done = scene.occupy(0, end, truncate_length, 5, truncate_record());
    Slot& not_done = scene.occupy(1, end + 8, truncate_length, 6, truncate_record());
    for (Slot* slot : {&done, &not_done}) slot->state = static_cast<uint32_t>(SlotState::unrecorded);
    scene.effective = {end};
    const RepairReport report = scene.repair();
    CHECK(report.settled_done + report.settled_void == 0);
    CHECK(state_of(done) == static_cast<uint32_t>(SlotState::recorded));
    CHECK(done.request == 5);
    CHECK(state_of(not_done) == static_cast<uint32_t>(SlotState::idle));
    CHECK(not_done.request == 0);
    scene.expect_whole(report);
}

TEST_CASE("repair: slots that make no sense are forgotten and change nothing") {
    Scene scene;
    scene.journal->add_write(1000);
    scene.host_lives(scene.journal->end());
    const Lsn end = scene.journal->end();
    size_t index = 0;
    for (auto [lsn, length] : std::vector<std::pair<Lsn, uint32_t>>{{0, 64}, {end + 4, 64}, {end, 0}, {end, 63}, {end, 8}, {end, UINT32_MAX - 7}, {lsn_max - 7, 64}, {segment_bytes + 8, 64}, {segment_bytes - 64, 64}})
        scene.occupy(index++, lsn, length, 9, truncate_record());
    auto report = scene.repair();
    CHECK(scene.asked.empty());
    CHECK(report.settled_done + report.settled_void == 0);
    for (size_t i = 0; i < index; ++i) CHECK(state_of(scene.table->slots()[i]) == static_cast<uint32_t>(SlotState::idle));
    scene.expect_whole(report);
}

TEST_CASE("repair: after a host crash the stream is cut at the first hole and nothing behind it is left") {
    Scene scene;
    scene.journal->add_write(1000);
    Lsn hole = scene.journal->hole(512);
    scene.journal->add_write(1000);
    scene.journal->leave_unsealed();
    scene.journal->add_write(1000);
    scene.journal->seal();
    scene.journal->add_write(1000);
    scene.host_dies();
    RepairReport report = scene.repair();
    CHECK(report.dropped_from == hole);
    CHECK(report.stream_end.next_segment == 3);
    auto records = scene.records();
    REQUIRE(records.size() == 4);
    CHECK(records[0].type == HF_WRITE);
    for (size_t i = 1; i < 4; ++i) CHECK(records[i].type == HF_SEGMENT_END);
    CHECK(records[1].lsn == hole);
    scene.expect_whole(report);
}

TEST_CASE("repair: an address that a consumer has seen is never used again") {
    Scene scene;
    scene.journal->add_write(1000);
    scene.host_dies();
    SurveyHints hints{.taken = 3 * segment_bytes + 5000};
    auto report = scene.repair_through(*scene.disk, hints);
    REQUIRE(report);
    CHECK(report->stream_end.next_segment == 4);
    scene.expect_whole(*report);
}

TEST_CASE("repair: a missing segment is replaced by an empty one and what follows is dropped") {
    Scene scene;
    for (int i = 0; i < 3; ++i) {
        scene.journal->add_write(1000);
        scene.journal->seal();
    }
    scene.journal->add_write(1000);
    REQUIRE(scene.disk->remove(segment_name(1)));
    scene.host_lives(scene.journal->end());
    RepairReport report = scene.repair();
    CHECK(report.dropped_from == segment_bytes);
    CHECK(report.stream_end.next_segment == 4);
    auto records = scene.records();
    REQUIRE(records.size() == 5);
    CHECK(records[0].type == HF_WRITE);
    scene.expect_whole(report);
}

TEST_CASE("repair: a request whose record is dropped with the damage still gets its answer") {
    Scene scene;
    Lsn damaged = scene.journal->add_write(1000);
    Lsn lsn = scene.journal->hole(truncate_length);
    scene.host_lives(lsn);
    Slot& slot = scene.occupy(0, lsn, truncate_length, 8, truncate_record());
    scene.effective = {lsn};
    test::flip(*scene.disk, segment_name(0), damaged + 70);
    RepairReport report = scene.repair();
    CHECK(report.dropped_from == damaged);
    CHECK(state_of(slot) == static_cast<uint32_t>(SlotState::recorded));
    CHECK(slot.answer_value == 77);
    scene.expect_whole(report);
}

TEST_CASE("repair: stopped at any call and run again, it ends as if it had never been stopped") {
    enum class Kind { fill, cut_at_hole, cut_at_missing, cut_at_damage };
    for (Kind kind : {Kind::fill, Kind::cut_at_hole, Kind::cut_at_missing, Kind::cut_at_damage}) {
        size_t stops = 0;
        std::vector<StreamRecord> expected;
        for (size_t stop_at = 0;; ++stop_at) {
            Scene scene;
            scene.journal->add_write(1000);
            Lsn hole = scene.journal->hole(kind == Kind::fill || kind == Kind::cut_at_hole ? truncate_length : 0);
            Lsn damaged = scene.journal->add_write(2000);
            Lsn second_hole = scene.journal->hole(kind == Kind::fill || kind == Kind::cut_at_hole ? 4096 : 0);
            scene.journal->add_write(3000);
            // Seals are written in order, so behind a segment with a hole nothing is sealed while the host lives.
            auto next_segment = [&] { kind == Kind::fill ? scene.journal->leave_unsealed() : scene.journal->seal(); };
            next_segment();
            scene.journal->add_write(100'000);
            next_segment();
            scene.journal->add_write(10);
            if (kind == Kind::cut_at_missing) REQUIRE(scene.disk->remove(segment_name(1)));
            if (kind == Kind::cut_at_damage) test::flip(*scene.disk, segment_name(0), damaged + 64);
            if (kind == Kind::fill) {
                scene.host_lives(hole);
                scene.occupy(5, hole, truncate_length, 1, truncate_record());
                scene.effective = {hole};
            } else {
                scene.host_dies();
            }
            (void)second_hole;
            SurveyHints hints = scene.hints();
            hints.check_chains = true;
            Fuse fuse;
            fuse.stop_at = stop_at == 0 ? SIZE_MAX : stop_at;
            FusedDisk fused(*scene.disk, fuse);
            auto first = scene.repair_through(fused, hints);
            INFO("kind " << static_cast<int>(kind) << ", stopped at call " << stop_at);
            if (stop_at > 0) {
                if (first) break;
                ++stops;
                CHECK(first.error().message == "stopped by the test");
            }
            auto again = scene.repair_through(*scene.disk, hints);
            REQUIRE(again);
            scene.expect_whole(*again);
            if (stop_at == 0) expected = scene.records();
            CHECK(scene.records() == expected);
        }
        CHECK(stops >= 4);
    }
}
