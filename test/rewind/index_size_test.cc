// What the index costs. The hidden case is the one that docs/performance.md quotes: rewind_test "[measure]".
#include <catch2/catch.hpp>
#include <chrono>

#include "test/rewind/index_bench.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

struct Cost {
    double bytes_per_record;
    double records_per_second;
    double question_us;
};

// Random 4 KiB overwrites of one file, as a database makes them. Only addresses go into the index, so the undo log
// need not be there.
Cost measure(uint64_t seed, size_t records, uint64_t blocks) {
    std::mt19937_64 random(seed);
    Bench bench;
    UndoSamples samples;
    const ObjectId file{1234567, 890123456, 1};
    UndoAddress address = bench.log->begin();
    samples.next_lsn = 5ULL << 30;
    constexpr size_t batch_records = 256;
    const auto start = std::chrono::steady_clock::now();
    for (size_t done = 0; done < records; done += batch_records) {
        std::vector<UndoRecord> batch;
        for (size_t i = 0; i < batch_records; ++i) {
            UndoItem data{UndoKind::data, file};
            data.offset = random() % blocks * 4096;
            data.length = 4096;
            data.address = address + 64;
            UndoItem attributes = samples.attributes(file, {});
            attributes.address = data.address + 4120;
            UndoRecord record = samples.record(HF_WRITE, file, {data, attributes});
            record.end_lsn = samples.next_lsn += 4060;
            record.time_ns = samples.next_time_ns += random() % 100'000;
            record.address = address;
            record.end = address += 4256;
            batch.push_back(std::move(record));
        }
        require(bench.index->insert(batch, {}));
    }
    require(bench.index->flush());
    const std::chrono::duration<double> inserting = std::chrono::steady_clock::now() - start;
    require(bench.index->compact());
    const auto asking = std::chrono::steady_clock::now();
    constexpr int questions = 5000;
    for (int i = 0; i < questions; ++i)
        (void)value_of(bench.index->data_at(file, random() % blocks * 4096, 4096, (5ULL << 30) + random() % (records * 4160)));
    const std::chrono::duration<double, std::micro> answered = std::chrono::steady_clock::now() - asking;
    return {static_cast<double>(bench.index->bytes_on_disk()) / static_cast<double>(records),
            static_cast<double>(records) / inserting.count(), answered.count() / questions};
}

TEST_CASE("index: a random 4 KiB overwrite costs at most 40 bytes of index after compaction") {
    const uint64_t seed = seed_of_run();
    INFO("seed " << seed);
    const Cost cost = measure(seed, 50'000, 65'536);
    CHECK(cost.bytes_per_record <= 40);
}

TEST_CASE("index: the cost of a million random overwrites", "[.][measure]") {
    const uint64_t seed = seed_of_run();
    const uint64_t blocks = GENERATE(65'536, 2'000'000);
    const Cost cost = measure(seed, 1'000'000, blocks);
    WARN(blocks << " blocks: " << cost.bytes_per_record << " bytes per record, " << cost.records_per_second
                << " records/s inserted, " << cost.question_us << " us per question");
}

}  // namespace
}  // namespace holdfast::rewind
