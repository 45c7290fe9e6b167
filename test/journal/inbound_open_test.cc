#include <catch2/catch.hpp>
#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <random>

#include "journal/beginning.h"
#include "journal/chain_at.h"
#include "test/support/faulty_disk.h"
#include "test/support/journal_builder.h"
#include "test/support/shipped_journal.h"

namespace holdfast::journal {
namespace {

using test::bench_volume;
using test::MemoryDisk;
using test::open_inbound;
using test::ShippedJournal;

constexpr uint64_t segment = ShippedJournal::segment_bytes;

std::unique_ptr<Inbound> must_open(Disk& disk, std::string* evidence = nullptr) {
    auto inbound = open_inbound(disk, nullptr, evidence);
    if (!inbound) FAIL(inbound.error().message);
    return std::move(inbound).value();
}

template <typename T>
ErrorCode code_of(const Result<T>& result) {
    REQUIRE_FALSE(result.has_value());
    return result.error().code;
}

std::map<std::string, std::vector<std::byte>> files_of(MemoryDisk& disk) {
    std::map<std::string, std::vector<std::byte>> files;
    const auto names = disk.list();
    for (const std::string& name : *names) files[name] = disk.contents(name);
    return files;
}

bool says(const std::string& evidence, std::string_view words) {
    return evidence.find(words) != std::string::npos;
}

// A replica that has taken the source's journal up to the first record boundary at or behind TO.
class Replica {
public:
    explicit Replica(Lsn to, uint64_t fork = ~0ULL) : source(21, 220, 60'000, fork) {
        auto inbound = must_open(disk);
        while (inbound->received() < to) HF_CHECK(source.ship_next(*inbound, 1).has_value());
        HF_CHECK(inbound->sync().has_value());
        received = inbound->received();
    }
    void check_the_rest_comes(Inbound& inbound) {
        const Status shipped = source.ship_all(inbound, 200'000);
        if (!shipped) FAIL(shipped.error().message);
        CHECK(source.difference(disk) == "");
    }
    ShippedJournal source;
    MemoryDisk disk;
    Lsn received = 0;
};

TEST_CASE("inbound: what was taken is found again, without a word of anything cut") {
    for (const Lsn to : {Lsn{1}, Lsn{10'000}, segment - 200'000, segment, segment + 1, 2 * segment + 100'000}) {
        Replica replica(to);
        std::string evidence;
        const auto files = files_of(replica.disk);
        auto inbound = must_open(replica.disk, &evidence);
        CHECK(inbound->received() == replica.received);
        CHECK(inbound->durable() == replica.received);
        CHECK(files_of(replica.disk) == files);
        CHECK_FALSE(says(evidence, "cut"));
        CHECK_FALSE(says(evidence, "removed"));
        CHECK(says(evidence, std::to_string(replica.received)));
        replica.check_the_rest_comes(*inbound);
    }
}

TEST_CASE("inbound: a batch that was being written is cut where its whole records end, and comes again") {
    Replica replica(segment + 300'000);
    const std::string name = segment_name(1);
    const auto& records = replica.source.records();
    size_t next = 0;
    while (records[next].lsn != replica.received) ++next;
    auto file = replica.disk.contents(name);
    // The first record is missing half, the second is whole.
    const auto& torn = records[next];
    const auto& whole = records[next + 1];
    std::copy_n(torn.bytes.begin(), torn.bytes.size() / 2, file.begin() + static_cast<ptrdiff_t>(torn.lsn % segment));
    std::copy_n(whole.bytes.begin(), whole.bytes.size(), file.begin() + static_cast<ptrdiff_t>(whole.lsn % segment));
    replica.disk.set_contents(name, file);

    std::string evidence;
    auto inbound = must_open(replica.disk, &evidence);
    CHECK(inbound->received() == replica.received);
    CHECK(says(evidence, name + " was cut at the address " + std::to_string(replica.received)));
    CHECK(says(evidence, "whole records stood behind, the first at " + std::to_string(whole.lsn)));
    const auto cut = replica.disk.contents(name);
    CHECK(std::all_of(cut.begin() + static_cast<ptrdiff_t>(replica.received % segment), cut.end(), [](std::byte b) { return b == std::byte{0}; }));
    replica.check_the_rest_comes(*inbound);
}

TEST_CASE("inbound: a newest file without a header is removed, and the segment comes again") {
    for (const int damage : {0, 1, 2}) {
        for (const bool is_first : {true, false}) {
            Replica replica(is_first ? 10'000 : segment + 10'000);
            const std::string name = segment_name(is_first ? 0 : 1);
            auto file = replica.disk.contents(name);
            if (damage == 0) file.clear();
            if (damage == 1) std::fill(file.begin(), file.end(), std::byte{0});
            if (damage == 2) file[60] ^= std::byte{1};
            replica.disk.set_contents(name, file);
            std::string evidence;
            auto inbound = must_open(replica.disk, &evidence);
            CHECK(inbound->received() == (is_first ? 0 : segment));
            CHECK(says(evidence, name + " was removed"));
            CHECK(says(evidence, "a whole record stood in it") == (damage == 2));
            replica.check_the_rest_comes(*inbound);
        }
    }
}

TEST_CASE("inbound: damage in an older segment is refused, and nothing is changed") {
    const auto refused = [](const std::function<void(MemoryDisk&)>& damage, ErrorCode code) {
        Replica replica(2 * segment + 100'000);
        damage(replica.disk);
        const auto files = files_of(replica.disk);
        std::string evidence;
        CHECK(code_of(open_inbound(replica.disk, nullptr, &evidence)) == code);
        CHECK(says(evidence, "3 segments were examined"));
        CHECK(says(evidence, "refused"));
        CHECK(files_of(replica.disk) == files);
    };
    const auto flip_seal = [](MemoryDisk& disk) { test::flip(disk, segment_name(1), disk.contents(segment_name(1)).size() - 10); };
    const auto no_header = [](MemoryDisk& disk) { test::overwrite(disk, segment_name(0), 0, 4096, 0); };
    const auto empty = [](MemoryDisk& disk) { disk.set_contents(segment_name(1), {}); };
    const auto other_history = [](MemoryDisk& disk) {
        ShippedJournal other(22, 220, 60'000);
        disk.set_contents(segment_name(1), other.memory().contents(segment_name(1)));
    };
    refused(flip_seal, ErrorCode::corrupt);
    refused(no_header, ErrorCode::corrupt);
    refused(empty, ErrorCode::corrupt);
    refused(other_history, ErrorCode::corrupt);
    refused([](MemoryDisk& disk) { test::flip(disk, segment_name(0), 60); }, ErrorCode::corrupt);
    refused([](MemoryDisk& disk) { test::flip(disk, segment_name(0), 1); }, ErrorCode::foreign);
    refused([](MemoryDisk& disk) { test::flip(disk, segment_name(2), 1); }, ErrorCode::foreign);
    refused([](MemoryDisk& disk) { HF_CHECK(disk.rename(segment_name(1), segment_name(7)).has_value()); }, ErrorCode::corrupt);
}

TEST_CASE("inbound: a sealed file that was not cut any more is cut, and what was begun and never used is removed") {
    Replica replica(segment);
    auto file = replica.disk.contents(segment_name(0));
    file.resize(segment);
    replica.disk.set_contents(segment_name(0), file);
    replica.disk.set_contents(spare_name(1), file);
    auto inbound = must_open(replica.disk);
    CHECK(inbound->received() == segment);
    CHECK(replica.disk.list()->size() == 1);
    replica.check_the_rest_comes(*inbound);
}

TEST_CASE("inbound: a sync that failed in an earlier process is not believed to have succeeded") {
    Replica replica(1);
    test::FaultyDisk faulty(replica.disk);
    auto inbound = must_open(faulty);
    while (inbound->received() < 500'000) REQUIRE(replica.source.ship_next(*inbound, 1).has_value());
    const Lsn received = inbound->received();
    faulty.fail_at(1, test::Fault::fail, EIO);
    CHECK(code_of(inbound->sync()) == ErrorCode::io);
    CHECK(inbound->is_fenced());
    CHECK(code_of(inbound->sync()) == ErrorCode::io);
    CHECK(code_of(replica.source.ship_next(*inbound, 1)) == ErrorCode::io);
    CHECK(code_of(inbound->cut(0)) == ErrorCode::io);
    CHECK(code_of(inbound->release_below(0)) == ErrorCode::io);
    CHECK(inbound->durable() < received);

    inbound = must_open(replica.disk);
    CHECK(inbound->durable() == received);
    std::mt19937_64 random(1);
    for (int draw = 0; draw < 10; ++draw) {
        const auto after = replica.disk.after_power_loss(random);
        CHECK(must_open(*after)->received() == received);
    }
}

TEST_CASE("inbound: a batch that finds the disk full leaves nothing behind, and is taken when there is room") {
    Replica replica(segment + 100'000);
    auto inbound = must_open(replica.disk);
    test::FaultyDisk faulty(replica.disk);
    inbound = must_open(faulty);
    const auto files = files_of(replica.disk);
    for (const auto fault : {test::Fault::fail, test::Fault::fail_midway}) {
        faulty.fail_at(1, fault, ENOSPC);
        CHECK(code_of(replica.source.ship_next(*inbound, 300'000)) == ErrorCode::no_space);
        CHECK(inbound->received() == replica.received);
        auto cut = replica.disk.contents(segment_name(1));
        CHECK(cut.size() == replica.received % segment);
        cut.resize(segment);
        CHECK(cut == files.at(segment_name(1)));
    }
    while (inbound->received() != 2 * segment) REQUIRE(replica.source.ship_next(*inbound, 300'000).has_value());
    faulty.fail_at(3, test::Fault::fail, ENOSPC);  // after a sync of what was before and the making of the file
    CHECK(code_of(replica.source.ship_next(*inbound, 1)) == ErrorCode::no_space);
    CHECK_FALSE(inbound->is_fenced());
    replica.check_the_rest_comes(*inbound);
}

TEST_CASE("inbound: it can be cut at every boundary, twice, and what comes then is another history's") {
    ShippedJournal other(21, 220, 60'000, 110);
    Replica sample(2 * segment + 100'000);
    const auto& records = sample.source.records();
    const Lsn parted = [&] {
        size_t i = 0;
        while (other.records()[i].bytes == records[i].bytes) ++i;
        return records[i].lsn;
    }();
    REQUIRE(parted > segment);
    std::vector<Lsn> places{0, HF_SEGMENT_HEADER_BYTES, segment, segment + HF_SEGMENT_HEADER_BYTES, parted};
    for (const auto& record : records) {
        if (record.end() <= parted && places.size() < 14 && record.end() % 5 == 2) places.push_back(record.end());
        if (record.type == HF_SEGMENT_END && record.lsn < parted) places.push_back(record.lsn);
    }
    for (const Lsn at : places) {
        INFO("cut at " << at);
        const auto disk = sample.disk.after_process_crash();
        auto inbound = must_open(*disk);
        const Lsn expected = at % segment == HF_SEGMENT_HEADER_BYTES ? at - HF_SEGMENT_HEADER_BYTES : at;
        for (int time = 0; time < 2; ++time) {
            REQUIRE(inbound->cut(at).has_value());
            CHECK(inbound->received() == expected);
            CHECK(inbound->durable() == expected);
            if (expected != 0) CHECK(*inbound->chain_at(expected) == *chain_at(other.disk(), bench_volume, segment, expected));
        }
        std::mt19937_64 random(at);
        const auto later = disk->after_power_loss(random);
        inbound = must_open(*later);
        CHECK(inbound->received() == expected);
        const Status shipped = other.ship_all(*inbound, 200'000);
        if (!shipped) FAIL(shipped.error().message);
        // The file of a segment that was shared keeps the header that it had; else all is the other's.
        const uint64_t index = expected / segment;
        for (uint64_t i = 0; i < other.segment_count(); ++i) {
            auto mine = later->contents(segment_name(i)), theirs = other.memory().contents(segment_name(i));
            if (i < index || (i == index && expected % segment != 0)) mine.erase(mine.begin(), mine.begin() + 4096), theirs.erase(theirs.begin(), theirs.begin() + 4096);
            CHECK(mine == theirs);
        }
    }
}

TEST_CASE("inbound: it is not cut at an address that is no boundary or not kept") {
    Replica replica(2 * segment + 100'000);
    auto inbound = must_open(replica.disk);
    REQUIRE(inbound->release_below(segment).has_value());
    const auto files = files_of(replica.disk);
    const Lsn inside = replica.source.records().front().lsn + segment;
    for (const Lsn at : {segment - 8, Lsn{0}, segment + 64, replica.received + 8, replica.received - 8, 3 * segment, lsn_max, inside + 8}) {
        INFO("cut at " << at);
        CHECK(code_of(inbound->cut(at)) == ErrorCode::not_found);
    }
    CHECK(files_of(replica.disk) == files);
    CHECK(inbound->received() == replica.received);
    CHECK(inbound->cut(replica.received).has_value());
    CHECK(files_of(replica.disk) == files);
}

TEST_CASE("inbound: cut within its oldest segment, whose seal goes, it still knows the chain there") {
    Replica replica(3 * segment + 100'000);
    auto inbound = must_open(replica.disk);
    REQUIRE(inbound->release_below(2 * segment).has_value());
    const auto& records = replica.source.records();
    const auto inside = std::find_if(records.begin(), records.end(), [](const auto& record) { return record.lsn > 2 * segment + segment / 2; });
    for (const Lsn at : {inside->lsn, 2 * segment}) {
        INFO("cut at " << at);
        for (int time = 0; time < 2; ++time) REQUIRE(inbound->cut(at).has_value());
        CHECK_FALSE(inbound->is_empty());
        CHECK(inbound->received() == at);
        std::mt19937_64 random(at);
        const auto later = replica.disk.after_power_loss(random);
        inbound = must_open(*later);
        const auto known = chain_at(*later, bench_volume, segment, at);
        REQUIRE(known.has_value());
        CHECK(*known == *chain_at(replica.source.disk(), bench_volume, segment, at));
        REQUIRE(replica.source.ship_all(*inbound, 200'000).has_value());
        REQUIRE(inbound->release_below(3 * segment).has_value());
        CHECK(load_beginning(*later)->has_value() == (inbound->begin() == 2 * segment));
        inbound = must_open(replica.disk);
    }
}

}  // namespace
}  // namespace holdfast::journal
