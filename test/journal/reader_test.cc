#include "journal/reader.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <random>

#include "test/support/faulty_disk.h"
#include "test/support/journal_bench.h"

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
