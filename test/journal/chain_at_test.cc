#include "journal/chain_at.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "test/support/journal_builder.h"
#include "test/support/shipped_journal.h"

namespace holdfast::journal {
namespace {

using test::bench_volume;
using test::MemoryDisk;
using test::ShippedJournal;

constexpr uint64_t segment = ShippedJournal::segment_bytes;

Result<ChainHash::Value> at(Disk& disk, Lsn lsn) {
    return chain_at(disk, bench_volume, segment, lsn);
}
ErrorCode code_at(Disk& disk, Lsn lsn) {
    const auto chain = at(disk, lsn);
    REQUIRE_FALSE(chain.has_value());
    return chain.error().code;
}

uint64_t checksum_of(const ShippedJournal::Raw& record) {
    hf_record_header header;
    memcpy(&header, record.bytes.data(), sizeof header);
    return header.checksum;
}

TEST_CASE("chain_at: at every boundary it is what the page of the format says, computed by hand") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    ShippedJournal source(seed, 120, 60'000);
    REQUIRE(source.segment_count() >= 2);
    CHECK(*at(source.disk(), 0) == ChainHash::Value{});
    CHECK(*at(source.disk(), HF_SEGMENT_HEADER_BYTES) == ChainHash::Value{});
    ChainHash chain{ChainHash::Value{}};
    for (const auto& record : source.records()) {
        if (record.type != HF_SEGMENT_END) {
            chain.add(checksum_of(record));
            CHECK(*at(source.disk(), record.end()) == chain.after());
            continue;
        }
        chain = ChainHash(chain.after());
        CHECK(*at(source.disk(), record.end()) == chain.before());
        if (record.end() != source.end()) CHECK(*at(source.disk(), record.end() + HF_SEGMENT_HEADER_BYTES) == chain.before());
    }
}

TEST_CASE("chain_at: two histories agree up to where they part, and nowhere behind") {
    ShippedJournal one(11, 150, 60'000), other(11, 150, 60'000, 70);
    size_t same = 0;
    while (one.records()[same].bytes == other.records()[same].bytes) ++same;
    REQUIRE(same > 30);
    REQUIRE(same < one.records().size() - 10);
    for (size_t i = 0; i < one.records().size(); ++i) {
        const auto mine = at(one.disk(), one.records()[i].end()), theirs = at(other.disk(), one.records()[i].end());
        REQUIRE(mine.has_value());
        if (i < same) CHECK(*mine == *theirs);
        else CHECK_FALSE((theirs && *mine == *theirs));
    }
}

TEST_CASE("chain_at: it is the same on a host that has deleted its older segments") {
    ShippedJournal whole(12, 200, 60'000), released(12, 200, 60'000);
    REQUIRE(whole.segment_count() >= 3);
    REQUIRE(released.disk().remove(segment_name(0)).has_value());
    REQUIRE(released.disk().remove(segment_name(1)).has_value());
    for (const auto& record : whole.records()) {
        if (record.lsn >= 2 * segment) CHECK(*at(whole.disk(), record.end()) == *at(released.disk(), record.end()));
    }
    // Its own seal knows where it began.
    CHECK(*at(whole.disk(), 2 * segment) == *at(released.disk(), 2 * segment));
    CHECK(code_at(released.disk(), 2 * segment - 8) == ErrorCode::not_found);
    CHECK(code_at(released.disk(), segment) == ErrorCode::not_found);
    CHECK(*at(released.disk(), 0) == ChainHash::Value{});
}

TEST_CASE("chain_at: addresses that are no boundary, or beyond what there is, have no chain") {
    ShippedJournal source(13, 20, 300);
    MemoryDisk& disk = source.memory();
    const auto& records = source.records();
    std::vector<Lsn> boundaries{0, HF_SEGMENT_HEADER_BYTES};
    for (const auto& record : records) boundaries.push_back(record.end());
    for (Lsn lsn = 0; lsn < records.back().lsn + 200; ++lsn) {
        const bool is_boundary = std::find(boundaries.begin(), boundaries.end(), lsn) != boundaries.end();
        if (is_boundary) CHECK(at(disk, lsn).has_value());
        else REQUIRE(code_at(disk, lsn) == ErrorCode::not_found);
    }
    CHECK(code_at(disk, source.end() + HF_SEGMENT_HEADER_BYTES + 64) == ErrorCode::not_found);
    CHECK(code_at(disk, source.end() + segment) == ErrorCode::not_found);
    CHECK(code_at(disk, lsn_max) == ErrorCode::not_found);
    MemoryDisk empty;
    CHECK(*at(empty, 0) == ChainHash::Value{});
    CHECK(code_at(empty, segment) == ErrorCode::not_found);
    CHECK(code_at(empty, HF_SEGMENT_HEADER_BYTES + 64) == ErrorCode::not_found);
}

TEST_CASE("chain_at: an open segment has chains up to its last whole record; damage below a seal is damage") {
    MemoryDisk disk;
    test::JournalBuilder builder(disk);
    auto here = [&](Lsn lsn) { return chain_at(disk, builder.volume, segment, lsn); };
    builder.add_write(100);
    const Lsn second = builder.add_write(200);
    CHECK(here(second).has_value());
    CHECK(here(builder.end()).has_value());
    const auto beyond = here(builder.end() + 64);
    REQUIRE_FALSE(beyond.has_value());
    CHECK(beyond.error().code == ErrorCode::not_found);
    const Lsn end = builder.end();
    builder.seal();
    const auto before_damage = *here(second);
    test::flip(disk, segment_name(0), second + 70);
    CHECK(*here(second) == before_damage);
    const auto damaged = here(end);
    REQUIRE_FALSE(damaged.has_value());
    CHECK(damaged.error().code == ErrorCode::corrupt);
    CHECK(chain_at(disk, VolumeId{{1}}, segment, second).error().code == ErrorCode::foreign);
}

TEST_CASE("chain_at: a segment whose file is not cut behind its seal yet has the same chain") {
    ShippedJournal source(14, 120, 60'000);
    const Lsn inside = source.records().back().lsn;
    const auto own = *at(source.disk(), segment), next = *at(source.disk(), inside);
    REQUIRE(inside > segment);
    auto file = source.disk().open(segment_name(0), Disk::Open::existing);
    REQUIRE((*file)->truncate(segment).has_value());
    CHECK(*at(source.disk(), segment) == own);
    CHECK(*at(source.disk(), inside) == next);
}

TEST_CASE("chain_at: seals that contradict each other are damage") {
    ShippedJournal one(15, 120, 60'000), other(16, 120, 60'000);
    const Lsn inside = one.records().back().lsn;
    REQUIRE(inside > segment);
    one.memory().set_contents(segment_name(0), other.memory().contents(segment_name(0)));
    CHECK(code_at(one.disk(), inside) == ErrorCode::corrupt);
}

TEST_CASE("chain_at: a live writer's journal has a chain at every published address") {
    test::JournalBench bench;
    REQUIRE(bench.open().has_value());
    for (uint64_t i = 0; i < 60; ++i) {
        REQUIRE(bench.write(i, 100'000).has_value());
        CHECK(at(bench.memory(), bench.writer().published()).has_value());
    }
}

}  // namespace
}  // namespace holdfast::journal
