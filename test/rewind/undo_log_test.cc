#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <thread>

#include "rewind/undo/undo_segment.h"
#include "test/rewind/undo_samples.h"
#include "test/support/faulty_disk.h"
#include "test/support/memory_disk.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

constexpr uint64_t small_segment = undo_segment_bytes_min;
const ObjectId file{7, 1, 1};

// Unless a test says otherwise, every record is written at once: what a crash may leave is then in the test's hand.
std::unique_ptr<UndoLog> open_log(Disk& disk, std::string* evidence = nullptr, size_t write_bytes = 1) {
    std::string unread;
    auto log = UndoLog::open(disk, sample_volume, evidence ? evidence : &unread, small_segment, write_bytes);
    INFO((log ? std::string() : log.error().message));
    REQUIRE(log);
    return std::move(*log);
}

// LSN and data of every record, parts of one record joined.
struct Seen {
    Lsn lsn;
    std::string data;
    bool operator==(const Seen&) const = default;
};

Result<std::vector<Seen>> records_of(const UndoLog& log, UndoAddress from = 0) {
    std::vector<Seen> seen;
    HF_TRY(log.scan(from, [&](const UndoRecord& record) {
        std::string data;
        for (const UndoItem& item : record.items) data.append(reinterpret_cast<const char*>(item.data.data()), item.data.size());
        if (!seen.empty() && seen.back().lsn == record.lsn)
            seen.back().data += data;
        else
            seen.push_back({record.lsn, data});
        return true;
    }));
    return seen;
}

std::vector<Seen> all_of(const UndoLog& log, UndoAddress from = 0) {
    auto seen = records_of(log, from);
    INFO((seen ? std::string() : seen.error().message));
    REQUIRE(seen);
    return std::move(*seen);
}

// A record of COUNT parts with SIZE bytes each, ready to be appended one by one.
std::vector<UndoRecord> parts(UndoSamples& samples, size_t count, size_t size) {
    std::vector<UndoRecord> all;
    const UndoRecord model = samples.record(HF_TRUNCATE, file, {});
    for (size_t i = 0; i < count; ++i) {
        UndoRecord part = model;
        part.continued = i + 1 < count;
        part.items = {samples.data(file, i * size, std::string(size, static_cast<char>('a' + i)))};
        all.push_back(std::move(part));
    }
    return all;
}

size_t segment_count(Disk& disk) {
    return disk.list().value().size();
}

TEST_CASE("undo log: what was appended is scanned in order and read back item by item") {
    MemoryDisk disk;
    auto log = open_log(disk);
    CHECK(log->end() == log->begin());
    UndoSamples samples;
    ObjectAttributes attributes{0100644, 1, 2, 3, 4, 5, 6, 7, 8};
    UndoRecord first = samples.record(HF_WRITE, file, {samples.data(file, 10, "overwritten"), samples.attributes(file, attributes)});
    UndoRecord second = samples.record(HF_SETXATTR, file, {samples.xattr(file, "user.x", true, "value")});
    UndoRecord third = samples.record(HF_BOOKMARK, {}, {samples.event("name")});
    for (UndoRecord* record : {&first, &second, &third}) REQUIRE(log->append(*record));
    REQUIRE(log->sync());

    CHECK(all_of(*log) == std::vector<Seen>{{4096, "overwritten"}, {4196, "value"}, {4296, "name"}});
    CHECK(all_of(*log, second.address).size() == 2);
    CHECK(all_of(*log, log->end()).empty());
    CHECK(log->last_lsn() == 4296);
    CHECK(log->end_lsn() == 4396);

    std::string bytes(6, '\0');
    REQUIRE(log->read_data(first.items[0].address, 4, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}));
    CHECK(bytes == "writte");
    // Again, now that the item is known to be whole.
    REQUIRE(log->read_data(first.items[0].address, 5, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}));
    CHECK(bytes == "ritten");
    CHECK(log->read_data(first.items[0].address, 6, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}).error().code == ErrorCode::corrupt);

    std::vector<std::byte> storage;
    CHECK(log->read_item(first.items[1].address, storage).value().attributes == attributes);
    const UndoItem xattr = log->read_item(second.items[0].address, storage).value();
    CHECK(xattr.name == "user.x");
    CHECK(xattr.present);
}

TEST_CASE("undo log: segments follow each other, and a reopened log goes on where it ended") {
    MemoryDisk disk;
    UndoSamples samples;
    std::vector<Seen> expected;
    for (int round = 0; round < 4; ++round) {
        auto log = open_log(disk);
        CHECK(log->end_lsn() == (round == 0 ? 0 : samples.next_lsn));
        for (int i = 0; i < 20; ++i) {
            UndoRecord record = samples.write(file, 0, std::string(4096, static_cast<char>('a' + i)));
            expected.push_back({record.lsn, std::string(4096, static_cast<char>('a' + i))});
            REQUIRE(log->append(record));
        }
        REQUIRE(log->sync());
        CHECK(all_of(*log) == expected);
    }
    CHECK(segment_count(disk) > 4);
}

TEST_CASE("undo log: dropped segments are gone, and the log opens with nothing but its newest one") {
    MemoryDisk disk;
    UndoSamples samples;
    std::vector<UndoRecord> records;
    {
        auto log = open_log(disk);
        for (int i = 0; i < 60; ++i) {
            records.push_back(samples.write(file, 0, std::string(4096, 'x')));
            REQUIRE(log->append(records.back()));
        }
        const uint64_t used = log->used_bytes();
        CHECK(log->drop_below(records[20].address).value() <= records[20].address);
        CHECK(log->used_bytes() < used);
        CHECK(log->begin() > records[0].address);
        CHECK(records_of(*log, records[0].address).error().code == ErrorCode::not_found);
        std::byte byte;
        CHECK(log->read_data(records[0].items[0].address, 0, {&byte, 1}).error().code == ErrorCode::not_found);
        CHECK(log->read_data(records[20].items[0].address, 0, {&byte, 1}));
        // Never the newest, whatever is asked for.
        REQUIRE(log->drop_below(UINT64_MAX));
        CHECK(segment_count(disk) == 1);
        CHECK(log->end_lsn() == samples.next_lsn);
    }
    auto log = open_log(disk);
    CHECK(log->end_lsn() == samples.next_lsn);
    CHECK(log->last_lsn() == records.back().lsn);
    UndoRecord next = samples.write(file, 0, "more");
    REQUIRE(log->append(next));
    CHECK(all_of(*log).back() == Seen{next.lsn, "more"});
}

TEST_CASE("undo log: a newest segment without records still knows what came before it") {
    MemoryDisk disk;
    UndoSamples samples;
    {
        auto log = open_log(disk);
        for (auto& part : parts(samples, 1, 60'000)) REQUIRE(log->append(part));
        auto unfinished = parts(samples, 2, 60'000);
        REQUIRE(log->append(unfinished[0]));  // makes the second segment
    }
    samples.next_lsn -= 100;
    {
        auto log = open_log(disk);
        CHECK(all_of(*log).size() == 1);
        CHECK(segment_count(disk) == 2);
        REQUIRE(log->drop_below(UINT64_MAX));
    }
    auto log = open_log(disk);
    CHECK(log->end_lsn() == samples.next_lsn);
    CHECK(all_of(*log).size() <= 1);
}

TEST_CASE("undo log: parts of one record count only together, also across segments") {
    const size_t part_count = GENERATE(2, 4);
    const size_t size = GENERATE(100, 30'000, 60'000);
    MemoryDisk disk;
    UndoSamples samples;
    UndoRecord before = samples.write(file, 0, "before");
    auto group = parts(samples, part_count, size);
    for (size_t written = 0; written <= part_count; ++written) {
        MemoryDisk fresh;
        auto log = open_log(fresh);
        UndoRecord first = before;
        REQUIRE(log->append(first));
        for (size_t i = 0; i < written; ++i) {
            UndoRecord part = group[i];
            REQUIRE(log->append(part));
        }
        const size_t expected = written == part_count ? 2 : 1;
        CHECK(all_of(*log).size() == expected);
        auto crashed = fresh.after_process_crash();
        std::string evidence;
        auto reopened = open_log(*crashed, &evidence);
        CHECK(all_of(*reopened).size() == expected);
        CHECK(reopened->end_lsn() == (expected == 2 ? group[0].end_lsn : before.end_lsn));
        // And it goes on.
        UndoRecord part = group[0];
        part.continued = false;
        part.lsn = reopened->end_lsn();
        part.end_lsn = part.lsn + 10;
        REQUIRE(reopened->append(part));
        CHECK(all_of(*reopened).size() == expected + 1);
    }
}

TEST_CASE("undo log: wherever the last record is torn, it is cut and the earlier ones stay") {
    MemoryDisk disk;
    UndoSamples samples;
    auto log = open_log(disk);
    UndoRecord first = samples.write(file, 0, "first"), second = samples.write(file, 0, "second");
    REQUIRE(log->append(first));
    REQUIRE(log->append(second));
    const auto whole = disk.contents(undo_segment_name(0));
    for (size_t size = first.end; size < whole.size(); ++size) {
        auto torn = disk.after_process_crash();
        torn->set_contents(undo_segment_name(0), {whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)});
        std::string evidence;
        auto reopened = open_log(*torn, &evidence);
        CHECK(all_of(*reopened) == std::vector<Seen>{{first.lsn, "first"}});
        CHECK(reopened->end() == first.end);
        CHECK((size == first.end || evidence.find("Cut") != evidence.npos));
        CHECK(torn->contents(undo_segment_name(0)).size() == first.end);
    }
}

TEST_CASE("undo log: damage to what had been synced is corrupt, to what had not is cut") {
    MemoryDisk disk;
    UndoSamples samples;
    auto log = open_log(disk);
    std::vector<UndoRecord> records;
    for (int i = 0; i < 6; ++i) records.push_back(samples.write(file, 0, "record " + std::to_string(i)));
    for (int i = 0; i < 6; ++i) {
        REQUIRE(log->append(records[i]));
        if (i == 2) REQUIRE(log->sync());
    }
    for (int damaged = 0; damaged < 6; ++damaged) {
        auto copy = disk.after_process_crash();
        auto bytes = copy->contents(undo_segment_name(0));
        bytes[records[damaged].items[0].address + 26] ^= std::byte{1};
        copy->set_contents(undo_segment_name(0), bytes);
        auto reopened = UndoLog::open(*copy, sample_volume, nullptr, small_segment);
        if (damaged <= 2) {
            CHECK(reopened.error().code == ErrorCode::corrupt);
        } else {
            REQUIRE(reopened);
            CHECK(all_of(**reopened).size() == static_cast<size_t>(damaged));
        }
    }
}

TEST_CASE("undo log: every flipped bit is noticed before anything damaged is handed out") {
    MemoryDisk disk;
    UndoSamples samples;
    std::vector<UndoRecord> records;
    {
        auto log = open_log(disk);
        for (int i = 0; i < 3; ++i) {
            ObjectAttributes attributes{0100644, 1, 2, 3, 4, 5, 6, 7, 8};
            records.push_back(samples.record(HF_WRITE, file, {samples.data(file, 0, std::string(28'000, static_cast<char>('a' + i))),
                                                             samples.attributes(file, attributes),
                                                             samples.xattr({8, 1, 1}, "user.name", true, "value")}));
            REQUIRE(log->append(records.back()));
            REQUIRE(log->sync());
        }
        UndoRecord last = samples.record(HF_HEARTBEAT, {}, {});
        REQUIRE(log->append(last));
    }
    REQUIRE(segment_count(disk) == 2);
    const std::string undamaged_reads = [&] {
        std::string read;
        auto log = open_log(disk);
        for (const auto& seen : all_of(*log)) read += seen.data;
        return read;
    }();

    for (uint64_t segment = 0; segment < 2; ++segment) {
        const auto whole = disk.contents(undo_segment_name(segment));
        for (size_t at = 0; at < whole.size(); at += at > 400 && at % 1000 > 100 ? 97 : 1) {
            auto copy = disk.after_process_crash();
            auto bytes = whole;
            bytes[at] ^= std::byte{1} << at % 8;
            copy->set_contents(undo_segment_name(segment), bytes);
            std::string evidence;
            auto log = UndoLog::open(*copy, sample_volume, &evidence, small_segment);
            if (!log) continue;
            INFO("byte " << at << " of segment " << segment << ": " << evidence);
            auto seen = records_of(**log);
            std::string read;
            if (seen)
                for (const auto& one : *seen) read += one.data;
            // Either the scan says so, or opening said so; the last record, which nothing followed, may be cut.
            CHECK((!seen || evidence.find("Damage") != evidence.npos || evidence.find("Cut") != evidence.npos));
            if (seen) CHECK(undamaged_reads.starts_with(read) == true);
            std::vector<std::byte> storage(28'000);
            for (const UndoRecord& record : records) {
                auto status = (*log)->read_data(record.items[0].address, 0, storage);
                if (status) CHECK(std::set<std::byte>(storage.begin(), storage.end()).size() == 1);
                std::vector<std::byte> item_storage;
                auto item = (*log)->read_item(record.items[2].address, item_storage);
                if (item) CHECK((item->name == "user.name" && item->data.size() == 5 && memcmp(item->data.data(), "value", 5) == 0));
            }
        }
    }
}

TEST_CASE("undo log: another volume's segments, missing and newer ones are told apart") {
    MemoryDisk disk;
    UndoSamples samples;
    {
        auto log = open_log(disk);
        for (int i = 0; i < 60; ++i) {
            UndoRecord record = samples.write(file, 0, std::string(4096, 'x'));
            REQUIRE(log->append(record));
        }
    }
    auto other = sample_volume;
    other.bytes[0] ^= 1;
    CHECK(UndoLog::open(disk, other, nullptr, small_segment).error().code == ErrorCode::foreign);

    REQUIRE(disk.remove(undo_segment_name(1)));
    std::string evidence;
    auto log = open_log(disk, &evidence);
    CHECK(evidence.find("missing") != evidence.npos);
    CHECK(records_of(*log).error().code == ErrorCode::corrupt);
    UndoRecord next = samples.write(file, 0, "goes on");
    CHECK(log->append(next));

    auto bytes = disk.contents(undo_segment_name(3));
    hf_undo_segment_header header;
    memcpy(&header, bytes.data(), sizeof header);
    header.version = 2;
    header.checksum = 0;
    header.checksum = journal::xxh3_64(bytes_of(header));
    memcpy(bytes.data(), &header, sizeof header);
    disk.set_contents(undo_segment_name(3), bytes);
    CHECK(UndoLog::open(disk, sample_volume, nullptr, small_segment).error().code == ErrorCode::unsupported);
}

TEST_CASE("undo log: on a full disk it takes nothing more, and opened again it goes on with what it has") {
    const size_t part_count = GENERATE(1, 3);
    const size_t write_bytes = GENERATE(size_t{1}, undo_write_bytes);
    for (uint64_t room = 0; room < part_count * 30'000; room += 7'000) {
        MemoryDisk disk;
        UndoSamples samples;
        auto log = open_log(disk, nullptr, write_bytes);
        UndoRecord before = samples.write(file, 0, "before");
        REQUIRE(log->append(before));
        REQUIRE(log->sync());
        disk.set_capacity(before.end + room);
        Status status = ok();
        for (UndoRecord& part : parts(samples, part_count, 30'000))
            if (status) status = log->append(part);
        if (status) status = log->sync();
        INFO("room for " << room << " bytes");
        REQUIRE(!status);
        CHECK(status.error().code == ErrorCode::no_space);
        UndoRecord refused = samples.write(file, 0, "refused");
        CHECK(log->append(refused).error().code == ErrorCode::no_space);
        CHECK(log->end() == before.end);
        CHECK(all_of(*log).size() == 1);
        disk.set_capacity(UINT64_MAX);
        auto again = open_log(disk, nullptr, write_bytes);
        CHECK(all_of(*again).size() == 1);
        for (UndoRecord& part : parts(samples, part_count, 30'000)) REQUIRE(again->append(part));
        REQUIRE(again->sync());
        CHECK(all_of(*again).size() == 2);
    }
}

// One run of appends, syncs, rotations and a prune. Fills in what was acknowledged.
struct Story {
    std::vector<Seen> appended;
    size_t synced = 0;
    size_t attempted = 0;
    UndoAddress dropped_below = 0;
};

Story run_story(Disk& disk, size_t write_bytes = 1) {
    Story story;
    UndoSamples samples;
    auto log = UndoLog::open(disk, sample_volume, nullptr, small_segment, write_bytes);
    if (!log) return story;
    bool fenced = false;
    for (int i = 0; i < 14; ++i) {
        auto group = i % 5 == 4 ? parts(samples, 3, 15'000) : parts(samples, 1, 9'000);
        Seen seen{group[0].lsn, {}};
        Status status = ok();
        ++story.attempted;
        for (UndoRecord& part : group) {
            if (status) status = (*log)->append(part);
            seen.data.append(reinterpret_cast<const char*>(part.items[0].data.data()), part.items[0].data.size());
        }
        if (status && fenced) FAIL("a fenced log took a record");
        if (status) story.appended.push_back(seen);
        if (i % 3 == 2) {
            status = (*log)->sync();
            if (status && fenced) FAIL("a fenced log was synced");
            if (status) story.synced = story.appended.size();
            fenced = !status;
        }
        if (i == 11 && story.synced > 5) {
            auto begin = (*log)->drop_below((*log)->end());
            story.dropped_below = (*log)->begin();
        }
    }
    return story;
}

// What survived is a run of the appended records that ends at or behind the last synced one.
void check_survivors(MemoryDisk& disk, const Story& story) {
    auto log = UndoLog::open(disk, sample_volume, nullptr, small_segment);
    INFO((log ? std::string() : log.error().message));
    REQUIRE(log);
    auto seen = all_of(**log);
    // The first one kept after a prune may lack parts.
    if (!seen.empty() && story.dropped_below != 0) seen.erase(seen.begin());
    size_t next = story.appended.size();
    if (!seen.empty()) {
        for (next = 0; next < story.appended.size() && !(story.appended[next] == seen[0]);) ++next;
        // A record whose append failed may be there whole, if the error came after the fact.
        for (const Seen& one : seen) {
            if (next == story.appended.size()) break;
            CHECK(one == story.appended[next++]);
        }
    } else {
        next = story.dropped_below != 0 ? story.synced : 0;
    }
    CHECK(next >= story.synced);
    if (story.dropped_below == 0 && !seen.empty() && !story.appended.empty()) CHECK(seen[0] == story.appended[0]);
    CHECK(seen.size() <= story.attempted);
}

TEST_CASE("undo log: whichever call to the disk fails, everything synced survives a crash of the process") {
    const size_t write_bytes = GENERATE(size_t{1}, size_t{20'000});
    uint64_t calls = 0;
    {
        MemoryDisk memory;
        FaultyDisk disk(memory);
        const Story story = run_story(disk, write_bytes);
        REQUIRE(story.appended.size() == 14);
        calls = disk.call_count();
        check_survivors(memory, story);
    }
    for (const Fault fault : {Fault::fail, Fault::fail_midway, Fault::stop}) {
        for (uint64_t call = 1; call <= calls; ++call) {
            MemoryDisk memory;
            FaultyDisk disk(memory);
            disk.fail_at(call, fault, call % 2 ? EIO : ENOSPC);
            const Story story = run_story(disk, write_bytes);
            INFO("fault " << static_cast<int>(fault) << " at call " << call << ", " << disk.failed_call());
            auto crashed = memory.after_process_crash();
            check_survivors(*crashed, story);
        }
    }
}

TEST_CASE("undo log: whichever call is the last before a power loss, everything synced survives it") {
    const auto seed = Catch::rngSeed() ? Catch::rngSeed() : std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const size_t write_bytes = GENERATE(size_t{1}, size_t{20'000});
    uint64_t calls = 0;
    {
        MemoryDisk memory;
        FaultyDisk disk(memory);
        (void)run_story(disk, write_bytes);
        calls = disk.call_count();
    }
    for (uint64_t call = 1; call <= calls; ++call) {
        MemoryDisk memory;
        FaultyDisk disk(memory);
        disk.fail_at(call, Fault::stop, EIO);
        const Story story = run_story(disk, write_bytes);
        for (int draw = 0; draw < 4; ++draw) {
            auto after = memory.after_power_loss(random);
            INFO("power off at call " << call << ", " << disk.failed_call() << ", draw " << draw);
            check_survivors(*after, story);
        }
    }
}

TEST_CASE("undo log: after a failed sync it takes nothing more and still reads") {
    MemoryDisk memory;
    FaultyDisk disk(memory);
    auto log = open_log(disk);
    UndoSamples samples;
    UndoRecord record = samples.write(file, 0, "kept");
    REQUIRE(log->append(record));
    disk.fail_at(1, Fault::fail, EIO);
    CHECK(log->sync().error().code == ErrorCode::io);
    UndoRecord next = samples.write(file, 0, "refused");
    CHECK(log->append(next).error().code == ErrorCode::io);
    CHECK(log->sync().error().code == ErrorCode::io);
    CHECK(log->end() == record.end);
}

TEST_CASE("undo log: readers follow while records are appended and dropped") {
    MemoryDisk disk;
    auto log = open_log(disk);
    std::atomic<bool> done{false};
    std::atomic<uint64_t> seen{0};
    std::vector<std::string> failures;
    std::thread reader([&] {
        while (!done) {
            Lsn last = 0;
            bool ordered = true;
            auto status = log->scan(0, [&](const UndoRecord& record) {
                ordered = ordered && record.lsn >= last;
                last = record.lsn;
                ++seen;
                return true;
            });
            if (!ordered) failures.push_back("out of order");
            if (!status && status.error().code != ErrorCode::not_found) failures.push_back(status.error().message);
        }
    });
    UndoSamples samples;
    UndoAddress earlier = 0;
    for (int i = 0; i < 400; ++i) {
        UndoRecord record = samples.write(file, 0, std::string(5000, 'x'));
        if (!log->append(record)) failures.push_back("append");
        if (i % 100 == 50) (void)log->drop_below(std::exchange(earlier, record.address));
    }
    while (seen == 0) std::this_thread::yield();
    done = true;
    reader.join();
    CHECK(failures == std::vector<std::string>());
}

}  // namespace
}  // namespace holdfast::rewind
