#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <random>
#include <thread>

#include "journal/recovery.h"
#include "journal/writer.h"
#include "test/support/faulty_disk.h"
#include "test/support/journal_bench.h"

namespace holdfast::journal {
namespace {

using test::bench_options;
using test::Fault;
using test::FaultyDisk;
using test::first_numbers;
using test::JournalBench;
using test::MemoryDisk;

constexpr size_t large = 700 << 10;  // two of these fill a segment
constexpr uint64_t writes = 7;       // across four segments

// What the application was told in the course of one story.
struct Told {
    bool opened = false;
    std::vector<uint64_t> committed;  // the writes that were acknowledged: not all, where the disk was full for a while
    std::vector<uint64_t> durable;    // those that were acknowledged as durable
    bool failed = false;
    bool acknowledged_after_failure = false;  // of a sync or a commit that failed with io
};

// Opens, writes, syncs after every second write, releases, closes.
Told tell_story(JournalBench& bench) {
    Told told;
    bool is_broken = false;
    if (!bench.open()) {
        told.failed = true;
        return told;
    }
    told.opened = true;
    for (uint64_t i = 0; i < writes; ++i) {
        const auto written = bench.write(i, large);
        if (written) told.committed.push_back(i);
        if (written && is_broken) told.acknowledged_after_failure = true;
        if (!written) told.failed = true;
        if (!written && written.error().code == ErrorCode::io) is_broken = true;
        if (i % 2 == 0) continue;
        const Lsn durable_before = bench.writer().durable();
        const Status synced = bench.writer().sync(lsn_max);
        if (synced) told.durable = told.committed;
        if (synced && is_broken && bench.writer().durable() != durable_before) told.acknowledged_after_failure = true;
        if (!synced) told.failed = is_broken = true;
    }
    if (!bench.writer().release_below(HF_SEGMENT_BYTES_MIN)) told.failed = true;
    bench.close();
    return told;
}

// Every one of WRITES is there, but for what was released on purpose, which is the beginning.
void check_writes(Disk& disk, const std::vector<uint64_t>& writes, const std::string& when) {
    INFO(when);
    if (writes.empty()) return;
    const auto extent = Reader::extent(disk);
    REQUIRE(extent.has_value());
    REQUIRE(extent->first_segment <= 1);
    Reader reader(disk, test::bench_volume, HF_SEGMENT_BYTES_MIN, nullptr);
    reader.seek(extent->first_segment * HF_SEGMENT_BYTES_MIN);
    std::vector<uint64_t> found;
    for (;;) {
        auto record = reader.next();
        if (!record || !*record) break;  // what lies beyond was never acknowledged
        if ((*record)->type == HF_WRITE) found.push_back(test::number_of(**record).value());
    }
    std::vector<uint64_t> expected = writes;
    if (extent->first_segment == 1) expected.erase(expected.begin(), expected.begin() + 2);
    CHECK(std::is_sorted(found.begin(), found.end()));
    CHECK(std::includes(found.begin(), found.end(), expected.begin(), expected.end()));
}

uint64_t calls_of_the_story() {
    MemoryDisk memory;
    FaultyDisk disk(memory);
    JournalBench bench(bench_options(), &disk);
    const Told told = tell_story(bench);
    REQUIRE(told.committed == first_numbers(writes));
    REQUIRE_FALSE(told.failed);
    return disk.call_count();
}

void check_story(uint64_t call, Fault fault, int sys_errno, std::mt19937_64& random) {
    MemoryDisk memory;
    FaultyDisk disk(memory);
    disk.fail_at(call, fault, sys_errno);
    JournalBench bench(bench_options(), &disk);
    const Told told = tell_story(bench);
    INFO("call " << call << " (" << disk.failed_call() << "), fault " << static_cast<int>(fault) << ", errno " << sys_errno);
    CHECK_FALSE(told.acknowledged_after_failure);
    // An error is told to somebody: to the application, or by the table that is not clean.
    const bool is_clean = bench.table().head().clean.load() == 1;
    if (!disk.failed_call().empty() && !told.failed && is_clean) {
        // Only what has no say may fail unheard: the removal of a spare at the end, and a shortage that passed.
        CHECK((disk.failed_call() == "remove" || sys_errno == ENOSPC));
    }
    // The pages of a process that died are all there.
    check_writes(memory, told.committed, "after a process crash");
    check_writes(*memory.after_power_loss(random), told.durable, "after a power loss");
}

TEST_CASE("writer: whichever call fails, errors surface, nothing acknowledged is lost, nothing is acknowledged after") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const uint64_t calls = calls_of_the_story();
    REQUIRE(calls > 40);
    for (uint64_t call = 1; call <= calls + 4; ++call) {
        check_story(call, Fault::fail, EIO, random);
        check_story(call, Fault::fail_midway, EIO, random);
        check_story(call, Fault::stop, EIO, random);
        check_story(call, Fault::fail, ENOSPC, random);
    }
}

// What recovery takes by its seal without reading it must be as whole as it says.
void check_seals(Disk& disk, const std::string& when) {
    INFO(when);
    SurveyHints reads_everything;
    reads_everything.check_chains = true;
    const auto by_seals = survey(disk, test::bench_volume, HF_SEGMENT_BYTES_MIN);
    const auto by_reading = survey(disk, test::bench_volume, HF_SEGMENT_BYTES_MIN, reads_everything);
    REQUIRE((by_seals.has_value() && by_reading.has_value()));
    CHECK(by_seals->end == by_reading->end);
    CHECK(by_seals->middle == by_reading->middle);
}

TEST_CASE("writer: however far a sync of several segments came, what recovery takes by its seal is whole") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    for (uint64_t call = 1; call <= 10; ++call) {
        MemoryDisk memory;
        FaultyDisk disk(memory);
        JournalBench bench(bench_options(), &disk);
        REQUIRE(bench.open().has_value());
        for (uint64_t i = 0; i < 5; ++i) REQUIRE(bench.write(i, large).has_value());
        disk.fail_at(call, Fault::stop, EIO);
        (void)bench.writer().sync(lsn_max).has_value();
        for (int draw = 0; draw < 40; ++draw) check_seals(*memory.after_power_loss(random), "call " + std::to_string(call));
    }
}

TEST_CASE("writer: a failed sync is final, for those who wait and for those who come later") {
    MemoryDisk memory;
    FaultyDisk disk(memory);
    JournalBench bench(bench_options(), &disk);
    REQUIRE(bench.open().has_value());
    REQUIRE(bench.write(0).has_value());
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    const Lsn durable = bench.writer().durable();
    REQUIRE(bench.write(1).has_value());
    const auto open = bench.writer().reserve(64);
    REQUIRE(open.has_value());
    REQUIRE(bench.writer().abandon(*open).has_value());
    disk.fail_at(1, Fault::fail, EIO);
    const auto failed = bench.writer().sync(lsn_max);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == ErrorCode::io);
    CHECK(failed.error().sys_errno == EIO);
    CHECK(bench.writer().is_fenced());
    // The disk is well again, and yet:
    CHECK_FALSE(bench.writer().sync(lsn_max).has_value());
    CHECK_FALSE(bench.write(2).has_value());
    CHECK_FALSE(bench.writer().append(test::gap_begin()).has_value());
    CHECK_FALSE(bench.writer().wait_for_space(64, 60'000));
    CHECK_FALSE(bench.writer().release_below(lsn_max).has_value());
    CHECK(bench.writer().durable() == durable);
    CHECK(bench.writer().sync(durable).has_value());
    bench.close();
    CHECK(bench.table().head().clean.load() == 0);
}

TEST_CASE("writer: a failed commit fences, and the ticket of another thread ends in an error") {
    MemoryDisk memory;
    FaultyDisk disk(memory);
    JournalBench bench(bench_options(), &disk);
    REQUIRE(bench.open().has_value());
    const test::NumberedWrite write(0, 100);
    const auto other = bench.writer().reserve(write.length());
    REQUIRE(other.has_value());
    disk.fail_at(1, Fault::fail_midway, EIO);
    CHECK_FALSE(bench.write(1).has_value());
    CHECK_FALSE(bench.writer().commit(*other, write.record()).has_value());
    CHECK(bench.writer().published() == 0);
}

TEST_CASE("writer: after a power loss everything below the durable address is there, whatever the disk kept") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 40; ++round) {
        JournalBench bench;
        REQUIRE(bench.open().has_value());
        uint64_t durable = 0;
        const uint64_t count = random() % 12 + 1;
        for (uint64_t i = 0; i < count; ++i) {
            REQUIRE(bench.write(i, random() % 900'000 + 8).has_value());
            if (random() % 3 != 0) continue;
            REQUIRE(bench.writer().sync(lsn_max).has_value());
            durable = i + 1;
        }
        auto after = bench.memory().after_power_loss(random);
        check_seals(*after, "after a power loss");
        Reader reader(*after, test::bench_volume, HF_SEGMENT_BYTES_MIN, nullptr);
        uint64_t found = 0;
        for (;;) {
            const auto record = reader.next();
            if (!record || !*record) break;
            REQUIRE(test::number_of(**record) == found++);
        }
        CHECK(found >= durable);
    }
}

}  // namespace
}  // namespace holdfast::journal
