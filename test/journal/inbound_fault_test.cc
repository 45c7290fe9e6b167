#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <random>

#include "journal/chain_at.h"
#include "test/support/faulty_disk.h"
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

// What the sender was told, at least: what a cut that was tried may have forgotten does not count.
struct Told {
    Lsn received = 0;
    Lsn durable = 0;
    bool failed = false;
    bool acknowledged_after_fence = false;
};

class Story {
public:
    Story(ShippedJournal& source, Disk& disk) : source_(source), disk_(disk) {}

    // Ships, syncs now and then, at once or while more comes, cuts back once, ships again, releases, ships on. What fails is tried once more.
    Told tell() {
        auto opened = open_inbound(disk_);
        if (!opened) opened = open_inbound(disk_);
        if (!opened) {
            told_.failed = true;
            return told_;
        }
        inbound_ = std::move(opened).value();
        ship_to(2 * segment + 300'000);
        sync();
        cut(source_.records()[source_.records().size() / 5].lsn);  // two segments and a part go
        ship_to(2 * segment + 100'000);
        if (!inbound_->release_below(segment)) told_.failed = true;
        ship_to(source_.end());
        sync();
        return told_;
    }

private:
    void ship_to(Lsn to) {
        int failures = 0;
        for (int step = 1; inbound_->received() < to && failures < 3; ++step) {
            const bool was_fenced = inbound_->is_fenced();
            const auto shipped = source_.ship_next(*inbound_, batch_bytes);
            if (shipped && was_fenced) told_.acknowledged_after_fence = true;
            if (!shipped) told_.failed = true, ++failures;
            if (shipped) told_.received = inbound_->received();
            told_.durable = std::max(told_.durable, inbound_->durable());
            if (step % 4 == 0) sync();
            // Every other one is ended as it should be; whatever comes next must end the others.
            else if (step % 4 == 1) (void)inbound_->begin_sync();
            else if (step % 8 == 3 && !inbound_->end_sync()) told_.failed = true;
            told_.durable = std::max(told_.durable, inbound_->durable());
        }
    }
    void sync() {
        const bool was_fenced = inbound_->is_fenced();
        const Status synced = inbound_->sync();
        if (synced && was_fenced) told_.acknowledged_after_fence = true;
        if (!synced) told_.failed = true;
        else if (told_.durable < inbound_->received()) told_.durable = inbound_->received();
    }
    void cut(Lsn at) {
        if (at % segment == HF_SEGMENT_HEADER_BYTES) at -= HF_SEGMENT_HEADER_BYTES;  // the header goes too
        told_.received = std::min(told_.received, at);
        told_.durable = std::min(told_.durable, at);
        if (!inbound_->cut(at)) told_.failed = true;
    }

    ShippedJournal& source_;
    Disk& disk_;
    std::unique_ptr<Inbound> inbound_;
    Told told_;
};

bool is_boundary(const ShippedJournal& source, Lsn at) {
    if (at % segment == 0 || at % segment == HF_SEGMENT_HEADER_BYTES) return true;
    return std::any_of(source.records().begin(), source.records().end(), [&](const auto& record) { return record.end() == at; });
}

// Opens, and nothing from LEAST on is missing; then the rest comes and the files are the source's.
void check_goes_on(ShippedJournal& source, MemoryDisk& disk, Lsn least, const char* when) {
    INFO(when);
    std::string evidence;
    auto inbound = open_inbound(disk, nullptr, &evidence);
    INFO(evidence);
    REQUIRE(inbound.has_value());
    const Lsn received = (*inbound)->received();
    REQUIRE(is_boundary(source, received));
    REQUIRE(received >= least);
    if (received > 0) {
        const auto mine = (*inbound)->chain_at(received), theirs = chain_at(source.disk(), bench_volume, segment, received);
        REQUIRE(mine.has_value());
        REQUIRE(*mine == *theirs);
    }
    const uint64_t first = (*inbound)->begin() / segment;
    REQUIRE(first <= 1);
    const Status shipped = source.ship_all(**inbound, batch_bytes);
    REQUIRE(shipped.has_value());
    REQUIRE((*inbound)->sync().has_value());
    REQUIRE(source.difference(disk, first) == "");
}

void check_story(ShippedJournal& source, uint64_t call, Fault fault, int sys_errno, std::mt19937_64& random) {
    MemoryDisk memory;
    FaultyDisk disk(memory);
    disk.fail_at(call, fault, sys_errno);
    const Told told = Story(source, disk).tell();
    INFO("call " << call << " (" << disk.failed_call() << "), fault " << static_cast<int>(fault) << ", errno " << sys_errno);
    CHECK_FALSE(told.acknowledged_after_fence);
    // A full disk is met by calls that take space; the others are as with any other error.
    const std::string call_name = disk.failed_call();
    if (sys_errno == ENOSPC && call_name != "open" && call_name != "allocate" && call_name != "pwrite" && call_name != "rename") return;
    if (fault != Fault::fail_midway) check_goes_on(source, *memory.after_power_loss(random), told.durable, "after a power loss");
    if (fault != Fault::fail) check_goes_on(source, *memory.after_process_crash(), told.received, "after a process crash");
}

TEST_CASE("inbound: whichever call fails, what was durable is there, and what comes then makes the same files") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    ShippedJournal source(seed, 50, 250'000);
    REQUIRE(source.segment_count() >= 3);
    MemoryDisk memory;
    FaultyDisk disk(memory);
    const Told told = Story(source, disk).tell();
    REQUIRE_FALSE(told.failed);
    REQUIRE(told.durable == source.end());
    REQUIRE(source.difference(memory, 1) == "");
    const uint64_t calls = disk.call_count();
    REQUIRE(calls > 60);
    for (uint64_t call = 1; call <= calls; ++call) {
        check_story(source, call, Fault::fail, EIO, random);
        check_story(source, call, Fault::fail_midway, EIO, random);
        check_story(source, call, Fault::stop, EIO, random);
        check_story(source, call, Fault::fail, ENOSPC, random);
    }
}

TEST_CASE("inbound: whenever the power fails, and whatever the disk kept, what was durable is there") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    ShippedJournal source(seed, 60, 250'000);
    MemoryDisk memory;
    auto inbound = open_inbound(memory);
    REQUIRE(inbound.has_value());
    for (;;) {
        const auto shipped = source.ship_next(**inbound, batch_bytes);
        REQUIRE(shipped.has_value());
        if (!*shipped) break;
        if (random() % 5 == 0) REQUIRE((*inbound)->sync().has_value());
        for (int draw = 0; draw < 2; ++draw) check_goes_on(source, *memory.after_power_loss(random), (*inbound)->durable(), "after a power loss");
    }
}

}  // namespace
}  // namespace holdfast::journal
