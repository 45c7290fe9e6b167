#include "journal/inbound.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <random>

#include "journal/chain_at.h"
#include "test/support/journal_builder.h"
#include "test/support/sample_records.h"
#include "test/support/shipped_journal.h"

namespace holdfast::journal {
namespace {

using test::bench_volume;
using test::JournalBuilder;
using test::MemoryDisk;
using test::open_inbound;
using test::records_of;
using test::ShippedJournal;
using test::StreamRecord;

constexpr uint64_t segment = ShippedJournal::segment_bytes;

std::unique_ptr<Inbound> must_open(Disk& disk, InflightTable* table = nullptr, std::string* evidence = nullptr) {
    auto inbound = open_inbound(disk, table, evidence);
    if (!inbound) FAIL(inbound.error().message);
    return std::move(inbound).value();
}

template <typename T>
ErrorCode code_of(const Result<T>& result) {
    REQUIRE_FALSE(result.has_value());
    return result.error().code;
}

// Everything that a replica's disk holds.
std::map<std::string, std::vector<std::byte>> files_of(MemoryDisk& disk) {
    std::map<std::string, std::vector<std::byte>> files;
    const auto names = disk.list();
    for (const std::string& name : *names) files[name] = disk.contents(name);
    return files;
}

TEST_CASE("inbound: what a source ships becomes the same files, byte for byte, whatever the batches") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    ShippedJournal source(seed, 120, 60'000);
    REQUIRE(source.segment_count() >= 2);
    for (const size_t batch_bytes : {size_t{1}, size_t{100'000}, inbound_batch_bytes_max - HF_RECORD_BYTES_MAX}) {
        MemoryDisk replica;
        auto inbound = must_open(replica);
        CHECK(inbound->is_empty());
        REQUIRE(source.ship_all(*inbound, batch_bytes).has_value());
        CHECK(inbound->begin() == 0);
        CHECK(inbound->received() == source.end());
        CHECK(source.difference(replica) == "");
        CHECK(*inbound->chain_at(source.end()) == *chain_at(source.disk(), bench_volume, segment, source.end()));
    }
}

TEST_CASE("inbound: a seal may end where its segment ends") {
    MemoryDisk source, replica;
    JournalBuilder builder(source);
    constexpr uint64_t room_end = JournalBuilder::segment_bytes - HF_SEGMENT_END_BYTES;
    constexpr size_t large = 100'000;
    while (builder.end() + 3 * large < room_end) builder.add_write(large);
    builder.add_write(large);
    while (room_end - builder.end() > large) builder.add_write(large / 2);
    builder.add_write(room_end - builder.end() - sizeof(hf_record_header));
    REQUIRE(builder.end() == room_end);
    const std::string name = builder.segment_file();
    builder.finish();
    const auto whole = source.contents(name);
    REQUIRE(whole.size() == JournalBuilder::segment_bytes);

    const auto inbound = Inbound::open(replica, nullptr, builder.volume, JournalBuilder::segment_bytes, nullptr).value();
    REQUIRE(inbound->begin_segment(ByteSpan(whole).first(sizeof(hf_segment_header))));
    for (const StreamRecord& record : records_of(source, builder.volume, JournalBuilder::segment_bytes)) REQUIRE(inbound->append(ByteSpan(whole).subspan(record.lsn, record.length)));
    REQUIRE(inbound->sync());
    CHECK((replica.contents(name) == whole));  // not two million bytes in a message
}

TEST_CASE("inbound: a segment's header is kept as it is, with the term and the timeline of its source") {
    SegmentHeader header{bench_volume, 0, segment, 7, 9, 12345};
    const auto page = encode_segment_header(header);
    MemoryDisk replica;
    auto inbound = must_open(replica);
    REQUIRE(inbound->begin_segment(ByteSpan(page).first(sizeof(hf_segment_header))).has_value());
    CHECK(inbound->received() == HF_SEGMENT_HEADER_BYTES);
    auto written = replica.contents(segment_name(0));
    written.resize(page.size());
    CHECK(written == page);
}

TEST_CASE("inbound: it may begin with any segment, and learns the chain from its first seal") {
    ShippedJournal source(3, 200, 60'000);
    REQUIRE(source.segment_count() >= 3);
    for (const bool reopened : {false, true}) {
        MemoryDisk replica;
        auto inbound = must_open(replica);
        REQUIRE(inbound->begin_segment(source.header(1)).has_value());
        REQUIRE(source.ship_next(*inbound, 1000).has_value());
        CHECK(code_of(inbound->chain_at(inbound->received())) == ErrorCode::not_found);
        if (reopened) inbound = must_open(replica);
        REQUIRE(source.ship_all(*inbound, 50'000).has_value());
        CHECK(inbound->begin() == segment);
        REQUIRE(source.memory().contents(segment_name(1)) == replica.contents(segment_name(1)));
        REQUIRE(source.memory().contents(segment_name(2)) == replica.contents(segment_name(2)));
        for (const auto& record : source.records()) {
            if (record.lsn < segment) continue;
            CHECK(*chain_at(replica, bench_volume, segment, record.end()) == *chain_at(source.disk(), bench_volume, segment, record.end()));
        }
    }
}

TEST_CASE("inbound: a header that is not the wanted one is refused and nothing is changed") {
    ShippedJournal source(4, 120, 60'000);
    MemoryDisk replica;
    auto inbound = must_open(replica);
    REQUIRE(inbound->begin_segment(source.header(0)).has_value());
    CHECK(code_of(inbound->begin_segment(source.header(0))) == ErrorCode::invalid_argument);
    while (inbound->received() != segment) REQUIRE(source.ship_next(*inbound, 100'000).has_value());
    const auto before = files_of(replica);
    CHECK(code_of(inbound->begin_segment(source.header(0))) == ErrorCode::corrupt);
    CHECK(code_of(inbound->append(source.bytes(0, 5000))) == ErrorCode::invalid_argument);
    CHECK(code_of(inbound->begin_segment({})) == ErrorCode::corrupt);
    const ByteSpan right = source.header(1);
    std::vector<std::byte> header(right.begin(), right.end());
    CHECK(code_of(inbound->begin_segment(ByteSpan(header).first(79))) == ErrorCode::corrupt);
    CHECK(code_of(inbound->begin_segment(std::vector<std::byte>(80))) == ErrorCode::corrupt);
    for (size_t i = 0; i < header.size(); ++i) {
        auto changed = header;
        changed[i] ^= std::byte{0x40};
        CHECK_FALSE(inbound->begin_segment(changed).has_value());
    }
    // Whole, and of somebody else.
    auto header_of = [](const VolumeId& volume, uint64_t index, uint64_t bytes) {
        auto page = encode_segment_header({volume, index, bytes, 1, 1, 1});
        page.resize(sizeof(hf_segment_header));
        return page;
    };
    CHECK(code_of(inbound->begin_segment(header_of(VolumeId{{9}}, 1, segment))) == ErrorCode::foreign);
    CHECK(code_of(inbound->begin_segment(header_of(bench_volume, 2, segment))) == ErrorCode::corrupt);
    CHECK(code_of(inbound->begin_segment(header_of(bench_volume, 1, 2 * segment))) == ErrorCode::corrupt);
    CHECK(files_of(replica) == before);
    CHECK(inbound->received() == segment);
    REQUIRE(source.ship_all(*inbound, 100'000).has_value());
    CHECK(source.difference(replica) == "");
}

// An inbound journal that has taken the beginning of a segment, and the batch that would come next: a few records, the
// last one the seal when WITH_SEAL.
class BeforeBatch {
public:
    explicit BeforeBatch(bool with_seal) : source(5, 6, 300) {
        inbound = must_open(replica);
        REQUIRE(inbound->begin_segment(source.header(0)).has_value());
        const auto& records = source.records();
        REQUIRE(records.size() == 7);
        next = 1;
        while (records[next].type != HF_WRITE) ++next;
        REQUIRE(inbound->append(source.bytes(0, records[next].lsn)).has_value());
        at = inbound->received();
        batch = source.bytes(at, with_seal ? source.end() : records.back().lsn);
        files = files_of(replica);
    }
    void check_refused(ByteSpan bytes) {
        const Status refused = inbound->append(bytes);
        REQUIRE_FALSE(refused.has_value());
        CHECK((refused.error().code == ErrorCode::corrupt || refused.error().code == ErrorCode::unsupported));
        REQUIRE(inbound->received() == at);
        REQUIRE(files_of(replica) == files);
    }
    void check_the_right_one_is_taken() {
        REQUIRE(source.ship_all(*inbound, 1000).has_value());
        CHECK(source.difference(replica) == "");
    }
    ShippedJournal source;
    MemoryDisk replica;
    std::unique_ptr<Inbound> inbound;
    std::vector<std::byte> batch;
    Lsn at = 0;
    size_t next = 0;  // the batch's first record, a WRITE
    std::map<std::string, std::vector<std::byte>> files;
};

TEST_CASE("inbound: a batch with any one byte changed is refused, and nothing of it is kept") {
    for (const bool with_seal : {false, true}) {
        BeforeBatch before(with_seal);
        for (size_t i = 0; i < before.batch.size(); ++i) {
            INFO("byte " << i);
            auto changed = before.batch;
            changed[i] ^= std::byte(1u << i % 8);
            before.check_refused(changed);
        }
        before.check_the_right_one_is_taken();
    }
}

TEST_CASE("inbound: a batch that ends or begins at any other byte than between records is refused") {
    BeforeBatch before(true);
    std::vector<size_t> boundaries{0};
    for (size_t i = before.next; i < before.source.records().size(); ++i) boundaries.push_back(boundaries.back() + before.source.records()[i].bytes.size());
    REQUIRE(boundaries.back() == before.batch.size());
    for (size_t i = 1; i < before.batch.size(); ++i) {
        const bool is_boundary = std::find(boundaries.begin(), boundaries.end(), i) != boundaries.end();
        if (!is_boundary) before.check_refused(ByteSpan(before.batch).first(i));
        before.check_refused(ByteSpan(before.batch).subspan(i));
    }
    auto longer = before.batch;
    longer.resize(longer.size() + 8);
    before.check_refused(longer);
    const std::vector<std::byte> far_too_long(inbound_batch_bytes_max + 1);
    CHECK(code_of(before.inbound->append(far_too_long)) == ErrorCode::invalid_argument);
    CHECK(before.inbound->append({}).has_value());
    before.check_the_right_one_is_taken();
}

// What an enemy does, who computes checksums too.
std::vector<std::byte> resealed(std::vector<std::byte> record, const std::function<void(hf_record_header&)>& change) {
    hf_record_header header;
    memcpy(&header, record.data(), sizeof header);
    change(header);
    memcpy(record.data(), &header, sizeof header);
    const size_t used = sizeof header + header.data_length;
    if (used > record.size()) return record;
    header.checksum = xxh3_64_without(ByteSpan(record).first(used), offsetof(hf_record_header, checksum));
    memcpy(record.data(), &header, sizeof header);
    return record;
}

TEST_CASE("inbound: a record with any header field out of its range is refused, even with a right checksum") {
    BeforeBatch before(false);
    const auto record = before.source.records()[before.next].bytes;
    using Header = hf_record_header;
    const std::vector<std::pair<const char*, std::function<void(Header&)>>> changes = {
        {"length zero", [](Header& h) { h.length = 0; }},
        {"length odd", [](Header& h) { h.length += 4; }},
        {"length short", [](Header& h) { h.length = 64; h.data_length = 72; }},
        {"length huge", [](Header& h) { h.length = 0xfffffff8u; }},
        {"length beyond a record's maximum", [](Header& h) { h.length = HF_RECORD_BYTES_MAX + 8; }},
        {"length into the room of the seal", [](Header& h) { h.length = segment - 4096 - 104; h.type = HF_VOID; }},
        {"length beyond the segment", [](Header& h) { h.length = 2 * segment; }},
        {"type unknown", [](Header& h) { h.type = 9999; }},
        {"type zero", [](Header& h) { h.type = 0; }},
        {"type of another payload", [](Header& h) { h.type = HF_RENAME; }},
        {"type of a seal", [](Header& h) { h.type = HF_SEGMENT_END; }},
        {"flags unknown", [](Header& h) { h.flags = 0x8000; }},
        {"lsn before", [](Header& h) { h.lsn -= 8; }},
        {"lsn behind", [](Header& h) { h.lsn += 8; }},
        {"lsn of the next segment", [](Header& h) { h.lsn += segment; }},
        {"object absent", [](Header& h) { h.object = {}; }},
        {"offset beyond the largest file", [](Header& h) { h.offset = UINT64_MAX; }},
        {"data longer than there is", [](Header& h) { h.data_length += 1024; }},
        {"data huge", [](Header& h) { h.data_length = 0xffffffffu; }},
        {"data longer than a record's maximum", [](Header& h) { h.length = 0x7ffffff8u; h.data_length = 0x7fffff00u; }},
        {"reserved", [](Header& h) { h.reserved = 1; }},
    };
    for (const auto& [name, change] : changes) {
        INFO(name);
        before.check_refused(resealed(record, change));
        auto with_more = resealed(record, change);
        with_more.resize(inbound_batch_bytes_max);
        before.check_refused(with_more);
    }
    before.check_the_right_one_is_taken();
}

TEST_CASE("inbound: a whole record that is not the source's is found by the chain when the segment is sealed") {
    for (const bool chain_is_known : {true, false}) {
        ShippedJournal source(6, 200, 60'000);
        const uint64_t index = chain_is_known ? 0 : 1;
        MemoryDisk replica;
        auto inbound = must_open(replica);
        REQUIRE(inbound->begin_segment(source.header(index)).has_value());
        const Lsn first = inbound->received();
        auto forged = resealed(source.bytes(first, first + 8), [](hf_record_header& h) { h.time_ns += 1; });
        REQUIRE(inbound->append(forged).has_value());
        const Lsn seal = [&] {
            for (const auto& record : source.records()) {
                if (record.type == HF_SEGMENT_END && record.lsn > first) return record.lsn;
            }
            return lsn_max;
        }();
        while (inbound->received() != seal) REQUIRE(inbound->append(source.bytes(inbound->received(), inbound->received() + 8)).has_value());
        const auto files = files_of(replica);
        const Status refused = inbound->append(source.bytes(seal, seal + 8));
        CHECK(code_of(refused) == ErrorCode::corrupt);
        CHECK(refused.error().message.find("history is not the one kept here") != std::string::npos);
        CHECK(files_of(replica) == files);
        CHECK(inbound->received() == seal);
    }
}

TEST_CASE("inbound: a record that leaves no room for the seal is refused, though all else about it is right") {
    ShippedJournal source(9, 120, 60'000);
    MemoryDisk replica;
    auto inbound = must_open(replica);
    const auto seal = std::find_if(source.records().begin(), source.records().end(), [](const auto& r) { return r.type == HF_SEGMENT_END; });
    while (inbound->received() != seal->lsn) {
        REQUIRE(inbound->received() < seal->lsn);
        if (inbound->received() == 0) REQUIRE(inbound->begin_segment(source.header(0)).has_value());
        REQUIRE(inbound->append(source.bytes(inbound->received(), inbound->received() + 8)).has_value());
    }
    Record filler;
    filler.lsn = seal->lsn;
    const uint32_t room = seal->length;
    const auto files = files_of(replica);
    for (const uint32_t left : {0u, 8u, 96u}) {
        if (room < left + sizeof(hf_record_header)) continue;
        CHECK(code_of(inbound->append(test::joined(EncodedRecord(filler, room - left)))) == ErrorCode::corrupt);
    }
    CHECK(files_of(replica) == files);
    CHECK(inbound->received() == seal->lsn);
    // With room for a seal and not a byte more it is as good as any.
    REQUIRE(room >= HF_SEGMENT_END_BYTES + sizeof(hf_record_header));
    CHECK(inbound->append(test::joined(EncodedRecord(filler, room - HF_SEGMENT_END_BYTES))).has_value());
}

TEST_CASE("inbound: each field of a seal must be that of the records kept here") {
    BeforeBatch before(false);
    REQUIRE(before.inbound->append(before.batch).has_value());
    before.at = before.inbound->received();
    before.files = files_of(before.replica);
    const auto seal = before.source.bytes(before.at, before.at + 8);
    REQUIRE(seal.size() == HF_SEGMENT_END_BYTES);
    for (size_t place = sizeof(hf_record_header); place < seal.size(); ++place) {
        auto changed = seal;
        changed[place] ^= std::byte{4};
        before.check_refused(resealed(changed, [](hf_record_header&) {}));
    }
    before.check_refused(resealed(seal, [](hf_record_header& h) { h.length -= 8; }));
    auto followed = seal;
    followed.insert(followed.end(), before.batch.begin(), before.batch.end());
    before.check_refused(followed);
    before.check_the_right_one_is_taken();
}

TEST_CASE("inbound: readers follow the table, and what is durable is told by it") {
    ShippedJournal source(7, 120, 60'000);
    test::ScratchDirectory scratch;
    auto table = InflightTable::open(scratch / "inflight", bench_volume);
    REQUIRE(table.has_value());
    MemoryDisk replica;
    auto inbound = must_open(replica, table->get());
    Reader reader(replica, bench_volume, segment, table->get());
    std::vector<Lsn> seen;
    const auto read = [&] {
        for (;;) {
            const auto raw = reader.next_raw();
            REQUIRE(raw.has_value());
            if (!*raw) break;
            seen.push_back((*raw)->lsn);
        }
    };
    while (*source.ship_next(*inbound, 30'000)) {
        // A reader that stands where a segment begins must not be sent to a record that is not there yet.
        if (inbound->received() % segment == HF_SEGMENT_HEADER_BYTES) REQUIRE(inbound->sync().has_value());
        read();
        CHECK((*table)->head().published.load() <= inbound->received());
        CHECK((*table)->head().reserved.load() == (*table)->head().published.load());
    }
    read();
    CHECK(reader.position() == source.end());
    CHECK(seen.size() == source.records().size());
    CHECK((*table)->head().durable.load() < source.end());
    REQUIRE(inbound->sync().has_value());
    CHECK((*table)->head().durable.load() == source.end());
    CHECK(inbound->durable() == source.end());
    // Another process of this run of the host goes on with the same words.
    CHECK(InflightTable::open(scratch / "inflight", bench_volume).value()->survived());
}

TEST_CASE("inbound: who reads beside the store sees by a number that what he read was taken back, from before it goes") {
    ShippedJournal source(7, 120, 60'000);
    test::ScratchDirectory scratch;
    auto table = InflightTable::open(scratch / "inflight", bench_volume).value();
    const auto cuts = [&] { return table->head().cuts.load(); };
    MemoryDisk replica;
    uint32_t known;
    {
        auto inbound = must_open(replica, table.get());
        REQUIRE(source.ship_all(*inbound, 100'000).has_value());
        known = cuts();
        CHECK(known % 2 == 0);
        REQUIRE(inbound->cut(source.end()).has_value());
        CHECK_FALSE(inbound->cut(source.end() + 8).has_value());
        CHECK(cuts() == known);  // nothing went
        REQUIRE(inbound->cut(source.records()[5].lsn).has_value());
        CHECK(cuts() != known);
        CHECK(cuts() % 2 == 0);
        known = cuts();
        REQUIRE(inbound->restart({0, {}, 5000}).has_value());
        CHECK(cuts() != known);
        CHECK(cuts() % 2 == 0);
    }
    // Died in the middle of it: the next one says that it is over, and that it was.
    known = cuts();
    table->head().cuts.fetch_or(1);
    must_open(replica, table.get());
    CHECK(cuts() != known);
    CHECK(cuts() % 2 == 0);
}

TEST_CASE("inbound: a sync that was begun makes durable what had come by then, while more comes") {
    ShippedJournal source(7, 60, 30'000);
    MemoryDisk replica;
    auto inbound = must_open(replica);
    const auto ship = [&](int steps) {
        while (steps-- > 0) REQUIRE(source.ship_next(*inbound, 30'000).value());
        return inbound->received();
    };
    const Lsn first = ship(4);
    CHECK(inbound->begin_sync() == nullptr);  // the segment's name is not durable yet
    REQUIRE(inbound->sync().has_value());
    CHECK(inbound->begin_sync() == nullptr);  // nothing has come since
    const Lsn second = ship(3);
    const auto begun = inbound->begin_sync();
    REQUIRE(begun);
    CHECK(inbound->begin_sync() == nullptr);
    const Lsn third = ship(3);
    REQUIRE(begun->run().has_value());
    CHECK(inbound->durable() == first);
    REQUIRE(inbound->end_sync().has_value());
    CHECK(inbound->durable() == second);
    REQUIRE(inbound->sync().has_value());
    CHECK(inbound->durable() == third);
    CHECK(segment > third);
}

TEST_CASE("inbound: released are whole durable segments, oldest first, but for the newest sealed one") {
    ShippedJournal source(8, 300, 60'000);
    REQUIRE(source.segment_count() >= 4);
    MemoryDisk replica;
    auto inbound = must_open(replica);
    while (inbound->received() < 3 * segment) REQUIRE(source.ship_next(*inbound, 100'000).has_value());
    REQUIRE(inbound->durable() <= 2 * segment + HF_SEGMENT_HEADER_BYTES);
    // Segment 2 is sealed and not durable, so segment 1 is the newest that is both.
    REQUIRE(inbound->release_below(lsn_max).has_value());
    CHECK(inbound->begin() == segment);
    REQUIRE(inbound->sync().has_value());
    REQUIRE(inbound->release_below(2 * segment - 1).has_value());
    CHECK(inbound->begin() == segment);
    REQUIRE(inbound->release_below(lsn_max).has_value());
    CHECK(inbound->begin() == 2 * segment);
    REQUIRE(inbound->release_below(lsn_max).has_value());
    CHECK(inbound->begin() == 2 * segment);
    CHECK(Reader::extent(replica)->first_segment == 2);
    REQUIRE(source.ship_all(*inbound, 100'000).has_value());
    CHECK(*inbound->chain_at(source.end()) == *chain_at(source.disk(), bench_volume, segment, source.end()));
    inbound = must_open(replica);
    CHECK(inbound->begin() == 2 * segment);
    CHECK(inbound->received() == source.end());
}

}  // namespace
}  // namespace holdfast::journal
