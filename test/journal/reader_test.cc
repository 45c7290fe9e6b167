#include "journal/reader.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <random>

#include "test/support/faulty_disk.h"
#include "test/support/journal_bench.h"
#include "test/support/shipped_journal.h"

namespace holdfast::journal {
namespace {

using test::first_numbers;
using test::JournalBench;

constexpr uint64_t segment = HF_SEGMENT_BYTES_MIN;

ErrorCode code_of(const Result<std::optional<Record>>& result) {
    REQUIRE_FALSE(result.has_value());
    return result.error().code;
}

// Three segments with WRITEs of all sizes, closed.
class Filled {
public:
    explicit Filled(uint64_t seed) {
        std::mt19937_64 random(seed);
        HF_CHECK(bench.open().has_value());
        for (; addresses.empty() || addresses.back() < 2 * segment + segment / 2;) {
            const size_t bytes = random() % 4 == 0 ? random() % HF_RECORD_DATA_BYTES_MAX : random() % 20'000;
            addresses.push_back(*bench.write(addresses.size(), bytes + 8 > HF_RECORD_DATA_BYTES_MAX ? 8 : bytes + 8));
        }
        bench.close();
    }
    JournalBench bench;
    std::vector<Lsn> addresses;
};

TEST_CASE("reader: any record can be found by its address") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    Filled filled(seed);
    for (const bool with_table : {true, false}) {
        auto reader = filled.bench.reader(with_table);
        for (size_t i = filled.addresses.size(); i-- > 0;) {
            reader.seek(filled.addresses[i]);
            const auto record = reader.next();
            REQUIRE(record.has_value());
            REQUIRE(record->has_value());
            CHECK((*record)->lsn == filled.addresses[i]);
            CHECK(test::number_of(**record) == i);
            CHECK(reader.position() == (*record)->end());
        }
        CHECK(*filled.bench.read_all(with_table) == first_numbers(filled.addresses.size()));
    }
}

TEST_CASE("reader: raw records are what lies in the files, VOID and seals included, without a hole") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    test::ShippedJournal journal(seed, 120, 60'000);
    for (const bool is_fresh : {false, true}) {  // one reader for all, or one for each
        auto reader = std::make_unique<Reader>(journal.disk(), test::bench_volume, segment, nullptr);
        size_t voids = 0, seals = 0;
        for (Lsn at = 0; at < journal.end();) {
            if (is_fresh) {
                reader = std::make_unique<Reader>(journal.disk(), test::bench_volume, segment, nullptr);
                reader->seek(at);
            }
            const auto raw = reader->next_raw();
            REQUIRE(raw.has_value());
            REQUIRE(raw->has_value());
            CHECK((*raw)->lsn == (at % segment == 0 ? at + HF_SEGMENT_HEADER_BYTES : at));
            hf_record_header header;
            memcpy(&header, (*raw)->bytes.data(), sizeof header);
            CHECK((*raw)->bytes.size() == written_length(header));
            CHECK((*raw)->length == header.length);
            CHECK((*raw)->type == header.type);
            auto file = journal.memory().contents(segment_name((*raw)->lsn / segment));
            const ByteSpan on_disk = ByteSpan(file).subspan((*raw)->lsn % segment, (*raw)->bytes.size());
            CHECK(std::equal(on_disk.begin(), on_disk.end(), (*raw)->bytes.begin()));
            voids += (*raw)->type == HF_VOID;
            seals += (*raw)->type == HF_SEGMENT_END;
            at = (*raw)->end();
            CHECK(reader->position() == at);
        }
        CHECK(voids > 0);
        CHECK(seals == journal.segment_count());
        const auto end = reader->next_raw();
        REQUIRE(end.has_value());
        CHECK_FALSE(end->has_value());
    }
}

TEST_CASE("reader: raw and decoded records can be read in turns") {
    Filled filled(9);
    auto reader = filled.bench.reader();
    for (size_t i = 0; i + 1 < filled.addresses.size(); i += 2) {
        const auto record = reader.next();
        REQUIRE(record.has_value());
        CHECK((*record)->lsn == filled.addresses[i]);
        Lsn lsn = 0;
        do {
            const auto raw = reader.next_raw();
            REQUIRE(raw.has_value());
            const auto decoded = decode_record((*raw)->bytes, (*raw)->lsn);
            REQUIRE(decoded.has_value());
            CHECK(decoded->length == (*raw)->length);
            lsn = (*raw)->lsn;
        } while (lsn != filled.addresses[i + 1]);
    }
}

TEST_CASE("reader: the raw reader stops where the published records end, and at damage") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    auto reader = bench.reader();
    CHECK_FALSE(reader.next_raw()->has_value());
    REQUIRE(bench.write(0).has_value());
    const auto open = bench.writer().reserve(64);
    REQUIRE(open.has_value());
    CHECK(reader.next_raw()->has_value());
    CHECK_FALSE(reader.next_raw()->has_value());
    REQUIRE(bench.writer().abandon(*open).has_value());
    CHECK((*reader.next_raw())->type == HF_VOID);
    bench.close();

    auto bytes = bench.memory().contents(segment_name(0));
    bytes[HF_SEGMENT_HEADER_BYTES + 70] ^= std::byte{1};
    bench.memory().set_contents(segment_name(0), bytes);
    auto again = bench.reader();
    const auto damaged = again.next_raw();
    REQUIRE_FALSE(damaged.has_value());
    CHECK(damaged.error().code == ErrorCode::torn);
}

TEST_CASE("segment: a header that was read is, with zeros behind it, the whole page") {
    test::ShippedJournal journal(1, 10, 300);
    const auto header = read_segment_header(journal.disk(), test::bench_volume, segment, 0);
    REQUIRE(header.has_value());
    auto page = journal.memory().contents(segment_name(0));
    page.resize(HF_SEGMENT_HEADER_BYTES);
    std::vector<std::byte> made(HF_SEGMENT_HEADER_BYTES);
    memcpy(made.data(), &*header, sizeof *header);
    CHECK(made == page);
    CHECK(read_segment_header(journal.disk(), test::bench_volume, segment, 1).error().code == ErrorCode::not_found);
    CHECK(read_segment_header(journal.disk(), VolumeId{{9}}, segment, 0).error().code == ErrorCode::foreign);
}

TEST_CASE("reader: an address inside a record or a header is damage, not data") {
    Filled filled(1);
    auto reader = filled.bench.reader();
    reader.seek(filled.addresses[1] + 8);
    CHECK(code_of(reader.next()) == ErrorCode::torn);
    reader.seek(64);
    CHECK(code_of(reader.next()) == ErrorCode::torn);
    reader.seek(filled.addresses[1]);
    CHECK(reader.next().has_value());
}

TEST_CASE("reader: an empty journal has no records, and no extent") {
    JournalBench bench;
    CHECK(bench.read_all(true)->empty());
    CHECK(bench.read_all(false)->empty());
    const auto extent = Reader::extent(bench.memory());
    REQUIRE_FALSE(extent.has_value());
    CHECK(extent.error().code == ErrorCode::not_found);
}

TEST_CASE("reader: it follows a writer, and takes nothing that is not published") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    auto reader = bench.reader();
    for (uint64_t i = 0; i < 50; ++i) {
        REQUIRE(bench.write(i, 50'000 * (i % 21) + 8).has_value());
        const test::NumberedWrite next(1000, 8);
        const auto open = bench.writer().reserve(next.length());
        REQUIRE(open.has_value());
        CHECK(*JournalBench::numbers_from(reader) == std::vector<uint64_t>{i});
        REQUIRE(bench.writer().abandon(*open).has_value());
    }
}

TEST_CASE("reader: damage below the published address names its place; beyond the last record it is the end") {
    Filled filled(2);
    auto& disk = filled.bench.memory();
    const size_t victim = filled.addresses.size() / 2;
    const Lsn at = filled.addresses[victim];
    const std::string name = segment_name(at / segment);
    auto bytes = disk.contents(name);
    bytes[at % segment + 70] ^= std::byte{1};
    disk.set_contents(name, bytes);

    auto with_table = filled.bench.reader(true);
    with_table.seek(at);
    const auto damaged = with_table.next();
    CHECK(code_of(damaged) == ErrorCode::torn);
    CHECK(damaged.error().message.find(name) != std::string::npos);
    CHECK(damaged.error().message.find(std::to_string(at)) != std::string::npos);
    CHECK(with_table.position() == at);

    // Segments follow, so it cannot be an end.
    auto without_table = filled.bench.reader(false);
    without_table.seek(at);
    if (at / segment < Reader::extent(disk)->last_segment) CHECK(code_of(without_table.next()) == ErrorCode::corrupt);

    const Lsn last = filled.addresses.back();
    auto tail = disk.contents(segment_name(last / segment));
    tail[last % segment + 70] ^= std::byte{1};
    disk.set_contents(segment_name(last / segment), tail);
    auto at_tail = filled.bench.reader(false);
    at_tail.seek(last);
    const auto end = at_tail.next();
    REQUIRE(end.has_value());
    CHECK_FALSE(end->has_value());
}

TEST_CASE("reader: segments that are absent, foreign, newer or damaged are told apart") {
    Filled filled(3);
    auto& disk = filled.bench.memory();
    const std::string name = segment_name(1);
    const auto whole = disk.contents(name);
    auto read_second = [&](bool with_table) {
        auto reader = filled.bench.reader(with_table);
        reader.seek(segment);
        return reader.next();
    };
    auto change = [&](size_t offset) {
        auto bytes = whole;
        bytes[offset] ^= std::byte{0x80};
        disk.set_contents(name, bytes);
    };
    change(0);
    CHECK(code_of(read_second(true)) == ErrorCode::foreign);
    change(8);
    CHECK(code_of(read_second(true)) == ErrorCode::unsupported);
    change(50);
    CHECK(code_of(read_second(true)) == ErrorCode::corrupt);
    disk.set_contents(name, {});
    CHECK(code_of(read_second(true)) == ErrorCode::torn);
    REQUIRE(disk.remove(name).has_value());
    CHECK(code_of(read_second(true)) == ErrorCode::not_found);
    CHECK(code_of(read_second(false)) == ErrorCode::not_found);
    disk.set_contents(name, whole);
    CHECK(read_second(true).has_value());

    Reader stranger(disk, VolumeId{{9}}, segment, nullptr);
    CHECK(code_of(stranger.next()) == ErrorCode::foreign);
}

TEST_CASE("reader: sync makes what was read durable, and remembers when it could not") {
    test::MemoryDisk memory;
    test::FaultyDisk disk(memory);
    JournalBench bench(test::bench_options(), &disk);
    REQUIRE(bench.open().has_value());
    for (uint64_t i = 0; i < 5; ++i) REQUIRE(bench.write(i, 500'000).has_value());
    auto reader = bench.reader();
    REQUIRE(JournalBench::numbers_from(reader)->size() == 5);
    REQUIRE(reader.sync().has_value());
    std::mt19937_64 random(1);
    for (int draw = 0; draw < 10; ++draw) {
        auto after = memory.after_power_loss(random);
        Reader again(*after, test::bench_volume, segment, nullptr);
        CHECK(JournalBench::numbers_from(again)->size() == 5);
    }
    REQUIRE(bench.write(5).has_value());
    REQUIRE(JournalBench::numbers_from(reader)->size() == 1);
    disk.fail_at(0, test::Fault::fail, 0);  // counts from here
    REQUIRE(reader.sync().has_value());
    CHECK(disk.call_count() == 1);  // the segments' names are durable already
    REQUIRE(bench.write(6).has_value());
    REQUIRE(JournalBench::numbers_from(reader)->size() == 1);
    disk.fail_at(1, test::Fault::fail, EIO);
    CHECK_FALSE(reader.sync().has_value());
    CHECK_FALSE(reader.sync().has_value());
}

TEST_CASE("reader: after a sync of the writer its own costs nothing") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    REQUIRE(bench.write(0).has_value());
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    auto reader = bench.reader();
    REQUIRE(JournalBench::numbers_from(reader)->size() == 1);
    const uint64_t before = bench.memory().sync_count();
    REQUIRE(reader.sync().has_value());
    CHECK(bench.memory().sync_count() == before);
}

}  // namespace
}  // namespace holdfast::journal
