#include <catch2/catch.hpp>
#include <cerrno>
#include <random>

#include "base/small_file.h"
#include "journal/chain_at.h"
#include "journal/inbound.h"
#include "test/support/faulty_disk.h"
#include "test/support/scratch.h"
#include "test/support/shipped_journal.h"

namespace holdfast::journal {
namespace {

using test::bench_volume;
using test::Fault;
using test::FaultyDisk;
using test::MemoryDisk;
using test::open_inbound;
using test::ShippedJournal;

constexpr uint64_t segment = ShippedJournal::segment_bytes;
constexpr size_t batch_bytes = 400'000;

std::unique_ptr<Inbound> must_open(Disk& disk) {
    auto inbound = open_inbound(disk);
    if (!inbound) FAIL(inbound.error().message);
    return std::move(inbound).value();
}

void ship_to(ShippedJournal& source, Inbound& inbound, Lsn to) {
    while (inbound.received() < to) REQUIRE(source.ship_next(inbound, batch_bytes).value());
}

ChainHash::Value chain_of(ShippedJournal& source, Lsn at) {
    return chain_at(source.disk(), bench_volume, segment, at).value();
}

Beginning beginning_at(ShippedJournal& source, uint64_t index) {
    return {index * segment, chain_of(source, index * segment), index * segment + 5000};
}

// A replica that has the first segments of another history than the source's: its own from the first record on.
MemoryDisk& fill_with_other_history(MemoryDisk& disk, uint64_t seed) {
    ShippedJournal other(seed + 1, 60, 250'000);
    const auto inbound = must_open(disk);
    ship_to(other, *inbound, 2 * segment + 300'000);
    REQUIRE(inbound->sync());
    return disk;
}

// The rest comes, and from FIRST on the files are the source's.
void check_goes_on(ShippedJournal& source, MemoryDisk& disk, Inbound& inbound, uint64_t first) {
    REQUIRE(source.ship_all(inbound, batch_bytes));
    REQUIRE(inbound.sync());
    CHECK(inbound.begin() == first * segment);
    CHECK(source.difference(disk, first) == "");
    CHECK(inbound.chain_at(source.end()).value() == chain_of(source, source.end()));
}

}  // namespace

TEST_CASE("inbound: begun anew it holds nothing, stands where it was told, and knows the chain there, also when it is opened again") {
    ShippedJournal source(1, 60, 250'000);
    MemoryDisk disk;
    fill_with_other_history(disk, 1);
    const Beginning beginning = beginning_at(source, 1);
    REQUIRE(must_open(disk)->restart(beginning));
    for (int time = 0; time < 2; ++time) {
        const auto inbound = must_open(disk);
        CHECK_FALSE(inbound->is_empty());
        CHECK(inbound->begin() == segment);
        CHECK(inbound->received() == segment);
        CHECK(inbound->durable() == segment);
        CHECK(inbound->beginning() == beginning);
        CHECK(inbound->chain_at(segment).value() == beginning.chain);
        CHECK(Reader::extent(disk).error().code == ErrorCode::not_found);
        // Only the segment that begins there may come.
        CHECK(inbound->begin_segment(source.header(0)).error().code == ErrorCode::corrupt);
        CHECK(inbound->begin_segment(source.header(2)).error().code == ErrorCode::corrupt);
    }
    check_goes_on(source, disk, *must_open(disk), 1);
}

TEST_CASE("inbound: begun anew it can name positions in its first segment before that has a seal, also when it is opened again") {
    ShippedJournal source(2, 60, 250'000);
    MemoryDisk disk;
    auto inbound = must_open(disk);
    REQUIRE(inbound->restart(beginning_at(source, 1)));
    ship_to(source, *inbound, segment + 500'000);
    const Lsn end = inbound->received();
    REQUIRE(end < 2 * segment);
    for (int time = 0; time < 2; ++time) {
        CHECK(inbound->chain_at(end).value() == chain_of(source, end));
        CHECK(chain_at(disk, bench_volume, segment, end).value() == chain_of(source, end));
        inbound = must_open(disk);
    }
    check_goes_on(source, disk, *inbound, 1);
}

TEST_CASE("inbound: begun anew, what is cut back to the beginning or lost in a power cut leaves it there") {
    std::mt19937_64 random(7);
    ShippedJournal source(3, 60, 250'000);
    MemoryDisk disk;
    const auto inbound = must_open(disk);
    REQUIRE(inbound->restart(beginning_at(source, 1)));
    REQUIRE(source.ship_next(*inbound, batch_bytes).value());  // the header
    REQUIRE(inbound->cut(inbound->received()));
    CHECK(inbound->received() == segment);
    CHECK(inbound->chain_at(segment).value() == chain_of(source, segment));
    while (source.ship_next(*inbound, batch_bytes).value()) {
        const auto lost = disk.after_power_loss(random);
        const auto reopened = must_open(*lost);
        CHECK(reopened->begin() == segment);
        CHECK(reopened->received() >= segment);
        check_goes_on(source, *lost, *reopened, 1);
    }
}

TEST_CASE("inbound: who reads beside the store sees by the number of cuts that it was begun anew") {
    ShippedJournal source(4, 60, 250'000);
    test::ScratchDirectory scratch;
    const auto table = InflightTable::open(scratch / "inflight", bench_volume).value();
    MemoryDisk disk;
    const auto inbound = open_inbound(disk, table.get()).value();
    REQUIRE(source.ship_all(*inbound, batch_bytes));
    const uint32_t known = table->head().cuts;
    REQUIRE(inbound->restart(beginning_at(source, 1)));
    CHECK(table->head().cuts != known);
    CHECK(table->head().cuts % 2 == 0);
    CHECK(table->head().durable == segment);
}

TEST_CASE("inbound: another history is found when the seal of the first segment after the beginning comes") {
    ShippedJournal source(4, 60, 250'000);
    MemoryDisk disk;
    const auto inbound = must_open(disk);
    Beginning beginning = beginning_at(source, 1);
    beginning.chain[3] ^= 1;
    REQUIRE(inbound->restart(beginning));
    const Status shipped = source.ship_all(*inbound, batch_bytes);
    REQUIRE_FALSE(shipped);
    CHECK(shipped.error().code == ErrorCode::corrupt);
    CHECK(inbound->received() < 2 * segment);
}

TEST_CASE("inbound: the beginning goes with the segment that it speaks of, and a damaged one is not guessed") {
    ShippedJournal source(5, 90, 250'000);
    REQUIRE(source.segment_count() >= 4);
    MemoryDisk disk;
    {
        const auto inbound = must_open(disk);
        REQUIRE(inbound->restart(beginning_at(source, 1)));
        ship_to(source, *inbound, 3 * segment + 100'000);
        REQUIRE(inbound->sync());
        REQUIRE(inbound->release_below(2 * segment));
        CHECK(inbound->begin() == 2 * segment);
        CHECK_FALSE(inbound->beginning());
        CHECK_FALSE(load_beginning(disk).value());
    }
    // A crash between the two.
    REQUIRE(save_beginning(disk, beginning_at(source, 1)));
    CHECK(must_open(disk)->begin() == 2 * segment);
    CHECK_FALSE(load_beginning(disk).value());
    for (const char* bad : {"", "{}", "{\"lsn\": 0, \"chain\": \"00\", \"equal_at\": 0}", "{\"lsn\": -1}", "[]", "{\"lsn\": 8, \"chain\": \"00000000000000000000000000000000\", \"equal_at\": 7}"}) {
        CAPTURE(bad);
        REQUIRE(replace_small_file(disk, "beginning", bad));
        const auto opened = open_inbound(disk);
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == ErrorCode::corrupt);
    }
}

TEST_CASE("inbound: whichever call fails while it is begun anew, it opens, and begun anew once more it goes on like the source's") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    ShippedJournal source(seed, 50, 250'000);
    REQUIRE(source.segment_count() >= 3);
    const Beginning beginning = beginning_at(source, 1);
    uint64_t calls = 1;
    for (uint64_t call = 0; call <= calls; ++call) {
        for (const Fault fault : {Fault::fail, Fault::fail_midway, Fault::stop}) {
            MemoryDisk memory;
            fill_with_other_history(memory, seed);
            FaultyDisk disk(memory);
            auto inbound = must_open(disk);
            const uint64_t before = disk.call_count();
            if (call > 0) disk.fail_at(call, fault, EIO);
            const Status restarted = inbound->restart(beginning);
            INFO("call " << call << " (" << disk.failed_call() << "), fault " << static_cast<int>(fault));
            if (call == 0) {
                REQUIRE(restarted);
                calls = disk.call_count() - before;
                REQUIRE(calls > 8);
            } else if (!restarted) {
                CHECK(inbound->is_fenced());
                CHECK_FALSE(inbound->restart(beginning));
            }
            for (auto& left : {memory.after_power_loss(random), memory.after_process_crash()}) {
                const auto reopened = must_open(*left);  // never a number missing between two
                if (restarted) CHECK(reopened->received() == segment);
                REQUIRE(reopened->restart(beginning));
                check_goes_on(source, *left, *reopened, 1);
            }
        }
    }
}

}  // namespace holdfast::journal
