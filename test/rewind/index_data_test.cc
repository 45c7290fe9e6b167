// Bytes: the index against a file that remembers all its states.
#include "rewind/index/index_data.h"

#include <catch2/catch.hpp>

#include "test/rewind/index_bench.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

constexpr size_t model_bytes = 80 << 10;

// The file's contents after every record; -1 is a hole.
struct DataModel {
    std::vector<std::pair<Lsn, std::vector<int>>> before{};  // state before the record at this LSN
    std::vector<int> now = std::vector<int>(model_bytes, -1);
};

// One random change of the file: what it overwrites becomes undo.
UndoRecord random_change(std::mt19937_64& random, UndoSamples& samples, DataModel& model, const ObjectId& file) {
    uint64_t offset = random() % model_bytes, length = 0;
    switch (random() % 4) {
        case 0: length = 1 + random() % 40; break;
        case 1: offset &= ~4095ULL, length = 4096; break;
        case 2: offset &= ~4095ULL, length = 4096 * (1 + random() % 18); break;
        case 3: length = 1 + random() % 20'000; break;
    }
    length = std::min<uint64_t>(length, model_bytes - offset);
    UndoRecord record = samples.record(HF_WRITE, file, {});
    model.before.push_back({record.lsn, model.now});
    for (uint64_t at = offset; at < offset + length;) {
        const bool hole = model.now[at] < 0;
        std::string bytes;
        uint64_t end = at;
        for (; end < offset + length && (model.now[end] < 0) == hole; ++end) bytes.push_back(static_cast<char>(model.now[end]));
        record.items.push_back(hole ? samples.hole(file, at, end - at) : samples.data(file, at, std::move(bytes)));
        at = end;
    }
    const bool punches = random() % 5 == 0;
    for (uint64_t at = offset; at < offset + length; ++at) model.now[at] = punches ? -1 : static_cast<int>(random() & 0xff);
    return record;
}

// What a view would read: the present, with undo laid over it.
std::vector<int> read_at(const Bench& bench, const ObjectId& file, const std::vector<int>& now, uint64_t offset, uint64_t length, Lsn at) {
    std::vector<int> bytes(now.begin() + static_cast<ptrdiff_t>(offset), now.begin() + static_cast<ptrdiff_t>(offset + length));
    uint64_t end = offset;
    for (const DataUndo& undo : value_of(bench.index->data_at(file, offset, length, at))) {
        REQUIRE(undo.offset >= end);
        REQUIRE(undo.length > 0);
        REQUIRE(undo.lsn >= at);
        end = undo.offset + undo.length;
        REQUIRE(end <= offset + length);
        std::string read(undo.length, '\0');
        if (!undo.hole) require(bench.log->read_data(undo.item, undo.skip, {reinterpret_cast<std::byte*>(read.data()), read.size()}));
        for (uint64_t i = 0; i < undo.length; ++i)
            bytes[undo.offset - offset + i] = undo.hole ? -1 : static_cast<unsigned char>(read[i]);
    }
    return bytes;
}

void check_data(const Bench& bench, const DataModel& model, const ObjectId& file, std::mt19937_64& random, Lsn from = 0) {
    for (const auto& [lsn, expected] : model.before) {
        if (lsn < from) continue;
        // The whole file, and some part of it.
        if (read_at(bench, file, model.now, 0, model_bytes, lsn) != expected) FAIL("the file at LSN " << lsn << " differs");
        const uint64_t offset = random() % model_bytes, length = random() % (model_bytes - offset) + 1;
        const std::vector<int> part(expected.begin() + static_cast<ptrdiff_t>(offset), expected.begin() + static_cast<ptrdiff_t>(offset + length));
        if (read_at(bench, file, model.now, offset, length, lsn) != part) FAIL("[" << offset << ", +" << length << ") at LSN " << lsn << " differs");
        // An address between two records means the state before the later one.
        if (lsn > from && lsn > 4096 && read_at(bench, file, model.now, offset, length, lsn - 1) != part) FAIL("just before LSN " << lsn);
    }
}

TEST_CASE("index: the bytes of a file at every moment are those of the model, whatever overlaps") {
    const uint64_t seed = seed_of_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Bench bench;
    UndoSamples samples;
    const ObjectId file{300, 7, 1}, neighbour{300, 8, 1};
    DataModel model, other;
    for (int i = 0; i < 250; ++i) {
        bench.append(random_change(random, samples, model, file));
        if (i % 3 == 0) bench.append(random_change(random, samples, other, neighbour));
        if (i == 120) require(bench.index->flush());
    }
    check_data(bench, model, file, random);
    check_data(bench, other, neighbour, random);
    require(bench.index->compact());
    check_data(bench, model, file, random);
    bench.open();
    CHECK(bench.catch_up() == 0);
    check_data(bench, other, neighbour, random);

    // Pruned in the middle: older moments are refused, younger ones are as they were.
    const Lsn limit = model.before[100].first;
    require(bench.index->prune_below(limit));
    CHECK(bench.index->data_at(file, 0, 10, limit - 1).error().code == ErrorCode::not_found);
    check_data(bench, model, file, random, limit);
    const uint64_t before = bench.index->bytes_on_disk();
    require(bench.index->compact());
    CHECK(bench.index->bytes_on_disk() < before);
    check_data(bench, model, file, random, limit);
    bench.open();
    CHECK(bench.index->data_at(file, 0, 10, limit - 1).error().code == ErrorCode::not_found);
}

TEST_CASE("index: what a crash took from it is put in again from the undo log") {
    const uint64_t seed = seed_of_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Bench bench;
    UndoSamples samples;
    const ObjectId file{300, 7, 1};
    DataModel model;
    for (int i = 0; i < 60; ++i) bench.append(random_change(random, samples, model, file));
    require(bench.index->flush());
    const UndoAddress flushed = bench.index->indexed_to();
    for (int i = 0; i < 40; ++i) bench.append(random_change(random, samples, model, file));
    bench.crash();
    CHECK(bench.index->indexed_to() == flushed);
    CHECK(bench.catch_up() == 40);
    check_data(bench, model, file, random);
    // Twice is harmless.
    require(bench.log->scan(0, [&](const UndoRecord& record) { return static_cast<bool>(bench.index->insert({record}, {})); }));
    check_data(bench, model, file, random);
    CHECK(bench.index->inserted_records() == 100);
}

TEST_CASE("index: ranges up to the end of the largest possible file are cut into few pieces") {
    const uint64_t edges[] = {0, 1, 4095, 4096, 4097, 65535, 65536, 1 << 20, (1ULL << 40) + 123, 1ULL << 60, INT64_MAX - 1, INT64_MAX};
    const ObjectId file{5, 5, 5};
    for (const uint64_t start : edges) {
        for (const uint64_t length : edges) {
            UndoItem item{UndoKind::hole, file};
            item.offset = start;
            item.length = length;
            const auto entries = data_entries(item, 100);
            CHECK(entries.size() <= 2 + 30 * (index_level_max + 1));
            CHECK((length == 0) == entries.empty());
        }
    }
    Bench bench;
    UndoSamples samples;
    bench.append(samples.record(HF_TRUNCATE, file, {samples.hole(file, 4000, INT64_MAX - 4000)}));
    const auto found = value_of(bench.index->data_at(file, 0, UINT64_MAX, 0));
    REQUIRE(found.size() == 1);
    CHECK(found[0].offset == 4000);
    CHECK(found[0].length == INT64_MAX - 4000);
    CHECK(value_of(bench.index->data_at(file, 0, 4000, 0)).empty());
    CHECK(value_of(bench.index->data_at(file, INT64_MAX - 1, 1, 0)).size() == 1);
    CHECK(value_of(bench.index->data_at(file, 0, UINT64_MAX, samples.next_lsn)).empty());
}

}  // namespace
}  // namespace holdfast::rewind
