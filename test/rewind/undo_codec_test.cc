#include "rewind/undo/undo_codec.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/text.h"
#include "test/rewind/undo_samples.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

const ObjectId file{4711, 9, 1};

// The worked example of docs/store_format.md.
constexpr const char* golden =
    "6000000010000000001000000000000048100000000000000000" "2a36fe9c9717"
    "b46b2c59b68893a667120000000000000900000001000000" "0100000000000000"
    "0100000004000000a734bad667cf5a7b00200000000000006f6c642100000000";

UndoRecord golden_record(UndoSamples& samples) {
    UndoRecord record;
    record.lsn = 4096;
    record.end_lsn = 4168;
    record.time_ns = sample_start_ns;
    record.type = HF_WRITE;
    record.object = file;
    record.items = {samples.data(file, 8192, "old!")};
    return record;
}

UndoRecord record_of_everything(UndoSamples& samples) {
    const ObjectId other{12, 3, 4};
    UndoRecord record = samples.record(HF_RENAME, file,
                                       {samples.data(file, 5, "bytes"), samples.hole(other, 4096, 1ULL << 40),
                                        samples.dirent(other, "name", file), samples.dirent(other, "other", {}),
                                        samples.attributes(file, {1, 2, 3, 4, 5, 6, -7, 8, 9}),
                                        samples.xattr(file, "user.x", true, std::string("\0v", 2)),
                                        samples.xattr(other, "user.y", false, ""), samples.plain(UndoKind::birth, file),
                                        samples.plain(UndoKind::death, other), samples.event("payload")});
    record.flags = HF_RECORD_REPAIR;
    record.exchange = true;
    record.continued = true;
    record.unsynced_bytes = 64;
    return record;
}

bool equal(const UndoItem& a, const UndoItem& b) {
    return a.kind == b.kind && a.object == b.object && a.offset == b.offset && a.length == b.length && a.name == b.name &&
           std::equal(a.data.begin(), a.data.end(), b.data.begin(), b.data.end()) && a.other == b.other &&
           a.present == b.present && a.attributes == b.attributes && a.address == b.address;
}

TEST_CASE("undo codec: version 1 is these bytes and no others") {
    UndoSamples samples;
    UndoRecord record = golden_record(samples);
    std::vector<std::byte> bytes;
    encode_undo(record, 128, bytes);
    CHECK(hex(bytes.data(), bytes.size()) == golden);
    CHECK(record.items[0].address == 192);
    CHECK(record.end == 224);
}

TEST_CASE("undo codec: a record of everything comes back as it was") {
    UndoSamples samples;
    UndoRecord record = record_of_everything(samples);
    std::vector<std::byte> bytes;
    const uint64_t checksum = encode_undo(record, 4096, bytes);
    CHECK(bytes.size() == encoded_undo_length(record));
    auto decoded = decode_undo(bytes, 4096);
    REQUIRE(decoded);
    const UndoRecord& back = decoded->record;
    CHECK(decoded->checksum == checksum);
    CHECK((back.lsn == record.lsn && back.end_lsn == record.end_lsn && back.time_ns == record.time_ns));
    CHECK((back.type == HF_RENAME && back.flags == HF_RECORD_REPAIR && back.object == file));
    CHECK((back.exchange && back.continued && back.unsynced_bytes == 64));
    CHECK((back.address == 4096 && back.end == 4096 + bytes.size()));
    REQUIRE(back.items.size() == record.items.size());
    for (size_t i = 0; i < back.items.size(); ++i) {
        INFO("item " << i);
        CHECK(equal(back.items[i], record.items[i]));
        // Each item is whole by itself, at the address that it was given.
        const ByteSpan rest = ByteSpan(bytes).subspan(back.items[i].address - 4096);
        hf_undo_item head;
        memcpy(&head, rest.data(), sizeof head);
        CHECK(undo_item_is_whole(rest.first(undo_item_head_length(head) + head.name_length + head.data_length)));
    }
}

TEST_CASE("undo codec: no record cut off, changed or moved is taken for whole") {
    UndoSamples samples;
    UndoRecord record = record_of_everything(samples);
    std::vector<std::byte> bytes;
    encode_undo(record, 4096, bytes);
    for (size_t size = 0; size < bytes.size(); ++size) CHECK(decode_undo(ByteSpan(bytes).first(size), 4096).error().code == ErrorCode::torn);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        auto damaged = bytes;
        damaged[bit / 8] ^= std::byte{1} << bit % 8;
        CHECK(decode_undo(damaged, 4096).error().code == ErrorCode::torn);
    }
    CHECK(decode_undo(bytes, 4104).error().code == ErrorCode::torn);
    CHECK(decode_undo(std::vector<std::byte>(4096), 4096).error().code == ErrorCode::torn);
}

// Changes the record and gives it a fitting checksum: what only a mistake or malice can make.
Result<DecodedUndo> decode_forged(std::vector<std::byte> bytes, UndoAddress address) {
    hf_undo_record head;
    memcpy(&head, bytes.data(), sizeof head);
    head.checksum = 0;
    memcpy(bytes.data(), &head, sizeof head);
    head.checksum = journal::xxh3_64(bytes) ^ journal::xxh3_64(bytes_of(address));
    memcpy(bytes.data(), &head, sizeof head);
    static std::vector<std::byte> kept;  // the result borrows
    kept = bytes;
    return decode_undo(kept, address);
}

TEST_CASE("undo codec: whole records whose insides make no sense are corrupt, whatever was changed") {
    UndoSamples samples;
    UndoRecord record = record_of_everything(samples);
    std::vector<std::byte> bytes;
    encode_undo(record, 4096, bytes);
    REQUIRE(decode_forged(bytes, 4096));
    for (size_t at = 0; at < bytes.size(); ++at) {
        for (const int value : {0, 1, 0x7f, 0xff}) {
            auto forged = bytes;
            forged[at] = static_cast<std::byte>(value);
            auto decoded = decode_forged(forged, 4096);
            if (!decoded) {
                CHECK((decoded.error().code == ErrorCode::corrupt || decoded.error().code == ErrorCode::torn));
                continue;
            }
            for (const UndoItem& item : decoded->record.items) {
                CHECK(item.name.size() + item.data.size() <= bytes.size());
                CHECK(item.offset <= INT64_MAX);
            }
        }
    }
}

TEST_CASE("undo codec: a record of a type that no journal record has is no sense, though its checksum fits") {
    UndoSamples samples;
    UndoRecord record = golden_record(samples);
    const UndoAddress address = 128;
    std::vector<std::byte> bytes;
    encode_undo(record, address, bytes);
    const uint16_t type = 65296;
    memcpy(bytes.data() + offsetof(hf_undo_record, type), &type, sizeof type);
    const uint64_t checksum = journal::xxh3_64_without(bytes, offsetof(hf_undo_record, checksum)) ^ journal::xxh3_64(bytes_of(address));
    memcpy(bytes.data() + offsetof(hf_undo_record, checksum), &checksum, sizeof checksum);
    const auto decoded = decode_undo(bytes, address);
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == ErrorCode::corrupt);
}

TEST_CASE("undo codec: a seal comes back with its hashes") {
    hf_segment_end seal{};
    memset(seal.chain_before, 1, sizeof seal.chain_before);
    memset(seal.chain_after, 2, sizeof seal.chain_after);
    seal.record_count = 3;
    UndoRecord last;
    last.lsn = 10;
    last.end_lsn = 20;
    std::vector<std::byte> bytes;
    encode_undo_seal(seal, 1024, last, bytes);
    CHECK(bytes.size() == undo_seal_bytes);
    auto decoded = decode_undo(bytes, 1024);
    REQUIRE(decoded);
    CHECK(decoded->is_seal);
    CHECK(memcmp(&decoded->seal, &seal, sizeof seal) == 0);
    CHECK(decoded->record.end_lsn == 20);
}

}  // namespace
}  // namespace holdfast::rewind
