#include "rewind/verify.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "rewind/undo/undo_segment.h"
#include "test/rewind/index_bench.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

// A log of several segments with every kind of item.
void fill(Bench& bench, UndoSamples& samples, std::mt19937_64& random) {
    for (uint64_t i = 0; i < 90; ++i) {
        const ObjectId file{100 + i % 5, 1, 1}, born{1000 + i, 1, 1};
        ObjectAttributes attributes;
        attributes.size = i;
        bench.append(samples.record(HF_CREATE, born, {samples.plain(UndoKind::birth, born),
                                                      samples.dirent(journal::root_object, "n" + std::to_string(i), {}),
                                                      samples.attributes(journal::root_object, attributes)}));
        bench.append(samples.record(HF_WRITE, file, {samples.data(file, random() % 10'000, random_bytes(random, 9000)),
                                                     samples.hole(file, 50'000, 1 + random() % 100'000),
                                                     samples.attributes(file, attributes)}));
        bench.append(samples.record(HF_SETXATTR, file, {samples.xattr(file, "user.a", i % 2, "value")}));
        if (i % 10 == 0) bench.append(samples.record(HF_BOOKMARK, {}, {samples.event("b" + std::to_string(i))}));
    }
    require(bench.log->sync());
}

// Overwrites a file in place, so that descriptors which are open see it too.
void replace(Bench& bench, const std::string& name, const std::vector<std::byte>& bytes) {
    const auto file = value_of(bench.disk.open(name, Disk::Open::existing));
    require(file->truncate(bytes.size()));
    require(file->pwrite(ByteSpan(bytes), 0));
}

HistoryReport verify(const Bench& bench, HistoryOptions options = {}) {
    return value_of(verify_history(*bench.log, *bench.index, options, [](uint64_t) { return ok(); }));
}

TEST_CASE("verify: a whole history has no problems, and everything in it was looked at") {
    std::mt19937_64 random(1);
    Bench bench;
    UndoSamples samples;
    CHECK(verify(bench).problems.empty());
    fill(bench, samples, random);
    const HistoryReport report = verify(bench);
    CHECK(report.problems == std::vector<std::string>());
    CHECK(report.undo_records == 279);
    CHECK(report.indexed_items == 90 * 7 + 9);
    CHECK(report.segments >= 4);
    CHECK(report.seals == report.segments - 1);
    CHECK(verify(bench, {10, 100}).indexed_items < report.indexed_items / 5);

    // Pruned, and with the index forgetting at its own pace.
    const Lsn limit = samples.next_lsn - 100 * 100;
    require(bench.index->prune_below(limit));
    const UndoAddress from = value_of(bench.index->undo_address_at(limit));
    require(bench.log->drop_below(from).has_value() ? ok() : Status(Error{ErrorCode::io, "drop"}));
    require(bench.index->compact());
    const HistoryReport pruned = verify(bench);
    CHECK(pruned.problems == std::vector<std::string>());
    CHECK(pruned.indexed_items < report.indexed_items);
}

TEST_CASE("verify: a flipped bit in any segment is a problem that names the segment") {
    std::mt19937_64 random(2);
    Bench bench;
    UndoSamples samples;
    fill(bench, samples, random);
    const auto names = value_of(bench.disk.list());
    for (size_t i = 0; i < names.size(); ++i) {
        const auto whole = bench.disk.contents(names[i]);
        for (int flip = 0; flip < 20; ++flip) {
            auto bytes = whole;
            const size_t at = flip == 0 ? 40 : flip == 1 ? whole.size() - 1 : random() % whole.size();
            bytes[at] ^= std::byte{1} << random() % 8;
            replace(bench, names[i], bytes);
            const HistoryReport report = verify(bench);
            INFO("byte " << at << " of " << names[i] << ": " << (report.problems.empty() ? std::string() : report.problems[0]));
            REQUIRE_FALSE(report.problems.empty());
            CHECK(report.problems[0].find(names[i]) != std::string::npos);
        }
        replace(bench, names[i], whole);
    }
    CHECK(verify(bench).problems.empty());
}

TEST_CASE("verify: a segment that was replaced by one that is whole breaks the chain") {
    std::mt19937_64 random(3);
    Bench bench, forged;
    UndoSamples samples, other_samples;
    fill(bench, samples, random);
    fill(forged, other_samples, random);
    replace(bench, undo_segment_name(1), forged.disk.contents(undo_segment_name(1)));
    const HistoryReport report = verify(bench, {0, 100});
    REQUIRE(report.problems.size() == 2);
    CHECK(report.problems[0].find("does not follow") != std::string::npos);
}

TEST_CASE("verify: an item that the index lost or was told wrongly is a problem") {
    Bench bench;
    UndoSamples samples;
    const ObjectId file{100, 1, 1};
    const auto append = [&](UndoRecord record, auto change) {
        require(bench.log->append(record));
        change(record);
        require(bench.index->insert({record}, {}));
    };
    const auto nothing = [](UndoRecord&) {};
    ObjectAttributes attributes;
    append(samples.write(file, 0, std::string(5000, 'a')), nothing);
    append(samples.write(file, 0, std::string(5000, 'b')), [](UndoRecord& record) { record.items[0].length = 4096; });
    append(samples.record(HF_UNLINK, file, {samples.dirent(file, "n", file)}), [](UndoRecord& record) { record.items.clear(); });
    append(samples.record(HF_SETATTR, file, {samples.attributes(file, attributes)}), [](UndoRecord& record) { record.items.clear(); });
    append(samples.record(HF_SETXATTR, file, {samples.xattr(file, "user.a", true, "v")}), [](UndoRecord& record) { record.items.clear(); });
    append(samples.record(HF_CREATE, {7, 1, 1}, {samples.plain(UndoKind::birth, {7, 1, 1})}), [](UndoRecord& record) { record.items.clear(); });
    append(samples.record(HF_BOOKMARK, {}, {samples.event("b")}), [](UndoRecord& record) { record.type = HF_HEARTBEAT; });
    const HistoryReport report = verify(bench);
    CHECK(report.problems.size() == 6);
    CHECK(report.problems[0].find("4096 of the 5000 bytes") != std::string::npos);
    const HistoryReport bounded = verify(bench, {1, 2});
    CHECK(bounded.problems.size() == 2);
    CHECK(bounded.problems_left_out == 4);
}

TEST_CASE("verify: it ends with the error of whoever asked to stop") {
    std::mt19937_64 random(4);
    Bench bench;
    UndoSamples samples;
    fill(bench, samples, random);
    uint64_t steps = 0;
    const auto stopped = verify_history(*bench.log, *bench.index, {}, [&](uint64_t) -> Status {
        if (++steps == 10) return Error{ErrorCode::unavailable, "stop"};
        return ok();
    });
    CHECK(stopped.error().code == ErrorCode::unavailable);
    CHECK(steps == 10);
}

}  // namespace
}  // namespace holdfast::rewind
