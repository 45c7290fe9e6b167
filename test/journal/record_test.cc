#include "journal/record.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <random>
#include <set>

#include "test/support/sample_records.h"

namespace holdfast::journal {
namespace {

using test::encoded;
using test::joined;
using test::sample_records;

std::vector<std::byte> at_address(Record record, Lsn lsn) {
    record.lsn = lsn;
    return encoded(record);
}

// Changes bytes of an encoded record and makes its checksum right again, as a hostile peer would.
class Forgery {
public:
    explicit Forgery(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    template <typename T>
    Forgery& put(size_t offset, T value) {
        memcpy(bytes_.data() + offset, &value, sizeof value);
        return *this;
    }
    Result<Record> decode(Lsn lsn) {
        hf_record_header header;
        memcpy(&header, bytes_.data(), sizeof header);
        const size_t covered = std::min<size_t>(bytes_.size(), sizeof header + header.data_length);
        put(offsetof(hf_record_header, checksum),
            xxh3_64_without(ByteSpan(bytes_).first(covered), offsetof(hf_record_header, checksum)));
        return decode_record(bytes_, lsn);
    }

private:
    std::vector<std::byte> bytes_;
};

Record sample(hf_record_type type) {
    for (Record& record : sample_records()) {
        if (record.type == type) return record;
    }
    FAIL("no sample of this type");
    return {};
}

constexpr size_t payload = sizeof(hf_record_header);

ErrorCode code_of(const Result<Record>& result) {
    REQUIRE_FALSE(result.has_value());
    return result.error().code;
}

TEST_CASE("record: every type comes back from its bytes as it was") {
    for (Record record : sample_records()) {
        record.lsn = 4096;
        const auto bytes = encoded(record);
        INFO(to_string(record.type));
        REQUIRE(bytes.size() == encoded_length(record.body));
        auto back = decode_record(bytes, 4096);
        REQUIRE(back.has_value());
        CHECK(back->type == record.type);
        CHECK(back->lsn == 4096);
        CHECK(back->time_ns == record.time_ns);
        CHECK(back->object == record.object);
        CHECK(back->length == bytes.size());
        CHECK(back->body.index() == record.body.index());
        // Encoding is one to one, so equal bytes mean equal values.
        CHECK(encoded(*back) == bytes);
    }
}

TEST_CASE("record: the values arrive in the members they came from") {
    const auto rename_bytes = encoded(sample(HF_RENAME));
    const auto rename = decode_record(rename_bytes, 0);
    REQUIRE(rename.has_value());
    CHECK(rename->as<Rename>().old_name == "from");
    CHECK(rename->as<Rename>().new_name == "to");
    CHECK(rename->as<Rename>().new_parent == root_object);

    const auto birth_bytes = encoded(sample(HF_CREATE));
    const auto birth = decode_record(birth_bytes, 0);
    REQUIRE(birth.has_value());
    CHECK(birth->as<Birth>().name == "plain \xff\n name");
    CHECK(birth->as<Birth>().attributes.mode == (S_IFREG | 0640));
    CHECK(birth->as<Birth>().attributes.ctime_ns == -3);
    REQUIRE(birth->as<Birth>().xattrs.size() == 2);
    CHECK(birth->as<Birth>().xattrs[1].value == std::string_view("\x02\0\0\0", 4));

    const auto write_bytes = encoded(sample(HF_WRITE));
    const auto write = decode_record(write_bytes, 0);
    REQUIRE(write.has_value());
    CHECK(write->as<Write>().offset == 4096);
    CHECK(write->as<Write>().data.size() == 7);
}

TEST_CASE("record: last links travel in the flags") {
    size_t seen = 0;
    for (const Record& record : sample_records()) {
        const auto* unlink = std::get_if<Unlink>(&record.body);
        if (!unlink) continue;
        const auto bytes = encoded(record);
        const auto back = decode_record(bytes, 0);
        REQUIRE(back.has_value());
        CHECK(back->as<Unlink>().last_link == unlink->last_link);
        CHECK(((back->flags & HF_RECORD_LAST_LINK) != 0) == unlink->last_link);
        ++seen;
    }
    CHECK(seen == 3);
}

TEST_CASE("record: every flipped bit is noticed") {
    for (Record record : sample_records()) {
        auto bytes = at_address(record, 8192);
        for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            bytes[bit / 8] ^= std::byte(1 << bit % 8);
            const auto back = decode_record(bytes, 8192);
            INFO(to_string(record.type) << ", bit " << bit);
            // Padding is outside of the checksum, but it must be zero.
            REQUIRE_FALSE(back.has_value());
            REQUIRE((back.error().code == ErrorCode::torn || back.error().code == ErrorCode::corrupt));
            bytes[bit / 8] ^= std::byte(1 << bit % 8);
        }
    }
}

TEST_CASE("record: a record that is cut off anywhere is torn") {
    for (Record record : sample_records()) {
        const auto bytes = at_address(record, 8192);
        for (size_t size = 0; size < bytes.size(); ++size) {
            INFO(to_string(record.type) << ", cut to " << size);
            REQUIRE(code_of(decode_record(ByteSpan(bytes).first(size), 8192)) == ErrorCode::torn);
        }
    }
}

TEST_CASE("record: at another address it is torn, and zeros are") {
    const auto bytes = at_address(sample(HF_WRITE), 8192);
    CHECK(code_of(decode_record(bytes, 8200)) == ErrorCode::torn);
    CHECK(code_of(decode_record(std::vector<std::byte>(4096), 0)) == ErrorCode::torn);
}

TEST_CASE("record: what lies between payload and length is neither covered nor needed") {
    Record record = sample(HF_WRITE);
    const EncodedRecord longer(record, encoded_length(record.body) + 4096);
    const auto bytes = joined(longer);
    CHECK(bytes.size() == encoded_length(record.body));
    const auto back = decode_record(bytes, 0);
    REQUIRE(back.has_value());
    CHECK(back->length == bytes.size() + 4096);
    auto with_rubbish = bytes;
    with_rubbish.resize(bytes.size() + 4096, std::byte{0x55});
    CHECK(decode_record(with_rubbish, 0).has_value());
    CHECK(bytes_to_decode(ByteSpan(bytes).first(payload), 0) == bytes.size());
    CHECK_FALSE(bytes_to_decode(ByteSpan(bytes).first(payload - 1), 0).has_value());
    CHECK_FALSE(bytes_to_decode(bytes, 8).has_value());
}

TEST_CASE("record: the end of a segment may span all of it in 104 bytes") {
    Record record;
    record.type = HF_SEGMENT_END;
    record.body = SegmentEnd{{1}, {2}, 3};
    const EncodedRecord seal(record, HF_SEGMENT_BYTES_MAX - HF_SEGMENT_HEADER_BYTES);
    const auto bytes = joined(seal);
    CHECK(bytes.size() == HF_SEGMENT_END_BYTES);
    const auto back = decode_record(bytes, 0);
    REQUIRE(back.has_value());
    CHECK(back->end() == HF_SEGMENT_BYTES_MAX - HF_SEGMENT_HEADER_BYTES);
    CHECK(back->as<SegmentEnd>().record_count == 3);
}

TEST_CASE("record: the largest write fits the largest record") {
    const std::vector<std::byte> data(HF_RECORD_DATA_BYTES_MAX, std::byte{7});
    Record record = sample(HF_WRITE);
    record.body = Write{0, data};
    const auto bytes = encoded(record);
    CHECK(bytes.size() <= HF_RECORD_BYTES_MAX);
    const auto back = decode_record(bytes, 0);
    REQUIRE(back.has_value());
    CHECK(back->as<Write>().data.size() == data.size());
}

TEST_CASE("record: unknown types, flags and reasons come from a newer version") {
    const auto type = offsetof(hf_record_header, type), flags = offsetof(hf_record_header, flags);
    for (uint16_t number : {0, 3, 15, 31, 63, 67, 70, 75, 76, 77, 65535}) {
        CHECK(code_of(Forgery(encoded(sample(HF_HEARTBEAT))).put(type, number).decode(0)) == ErrorCode::unsupported);
    }
    CHECK(code_of(Forgery(encoded(sample(HF_HEARTBEAT))).put<uint16_t>(flags, 0x80).decode(0)) == ErrorCode::unsupported);
    CHECK(code_of(Forgery(encoded(sample(HF_GAP_END))).put<uint32_t>(payload, 7).decode(0)) == ErrorCode::unsupported);
}

TEST_CASE("record: whole by checksum and senseless inside is corrupt") {
    auto forge = [](hf_record_type type, size_t offset, auto value) {
        return code_of(Forgery(encoded(sample(type))).put(offset, value).decode(0));
    };
    const size_t mode = offsetof(hf_birth, attributes) + offsetof(hf_attributes, mode);
    CHECK(forge(HF_HEARTBEAT, offsetof(hf_record_header, reserved), uint32_t{1}) == ErrorCode::corrupt);
    CHECK(forge(HF_HEARTBEAT, offsetof(hf_record_header, offset), uint64_t{1}) == ErrorCode::corrupt);
    CHECK(forge(HF_HEARTBEAT, offsetof(hf_record_header, object), uint64_t{1}) == ErrorCode::corrupt);
    CHECK(forge(HF_WRITE, offsetof(hf_record_header, object), uint64_t{0}) == ErrorCode::corrupt);
    CHECK(forge(HF_WRITE, offsetof(hf_record_header, offset), uint64_t{INT64_MAX}) == ErrorCode::corrupt);
    CHECK(forge(HF_TRUNCATE, offsetof(hf_record_header, offset), ~uint64_t{0}) == ErrorCode::corrupt);
    CHECK(forge(HF_UNLINK, offsetof(hf_record_header, flags), uint16_t{HF_RECORD_FROM_MMAP}) == ErrorCode::corrupt);
    CHECK(forge(HF_FALLOCATE, payload, ~uint64_t{0}) == ErrorCode::corrupt);
    CHECK(forge(HF_FALLOCATE, payload, uint64_t{0}) == ErrorCode::corrupt);
    CHECK(forge(HF_FALLOCATE, payload + 8, uint32_t{4}) == ErrorCode::corrupt);
    CHECK(forge(HF_MKDIR, payload + mode, uint32_t{S_IFREG | 0755}) == ErrorCode::corrupt);
    CHECK(forge(HF_MKDIR, payload + offsetof(hf_birth, name_length), uint16_t{200}) == ErrorCode::corrupt);
    CHECK(forge(HF_MKDIR, payload + offsetof(hf_birth, name_length), uint16_t{0}) == ErrorCode::corrupt);
    CHECK(forge(HF_MKDIR, payload + offsetof(hf_birth, xattr_count), uint16_t{65535}) == ErrorCode::corrupt);
    CHECK(forge(HF_MKDIR, payload + offsetof(hf_birth, rdev), uint64_t{1}) == ErrorCode::corrupt);
    CHECK(forge(HF_CREATE, payload + offsetof(hf_birth, target_length), uint16_t{1}) == ErrorCode::corrupt);
    CHECK(forge(HF_RENAME, payload + offsetof(hf_rename, flags), uint32_t{2}) == ErrorCode::corrupt);
    CHECK(forge(HF_RENAME, payload + offsetof(hf_rename, flags), uint32_t{HF_RENAME_EXCHANGE}) == ErrorCode::corrupt);
    CHECK(forge(HF_SETATTR, payload, uint32_t{0x40}) == ErrorCode::corrupt);
    CHECK(forge(HF_SETXATTR, payload, uint32_t{0xffffffff}) == ErrorCode::corrupt);
    CHECK(forge(HF_REMOVEXATTR, payload + 4, uint16_t{0}) == ErrorCode::corrupt);
    CHECK(forge(HF_GAP_END, payload, uint32_t{0}) == ErrorCode::corrupt);
    CHECK(forge(HF_SESSION_CLOSE, payload + offsetof(hf_session, clean), uint32_t{2}) == ErrorCode::corrupt);
}

TEST_CASE("record: names that would leave their directory are refused") {
    using namespace std::string_view_literals;
    const size_t name = payload + sizeof(hf_name_change);
    Record record = sample(HF_LINK);
    for (std::string_view hostile : {".."sv, "."sv, "a/b"sv, "/"sv, "a\0b"sv}) {
        const std::string same_size(hostile.size(), 'x');
        record.body = Link{root_object, same_size};
        Forgery forgery(encoded(record));
        for (size_t i = 0; i < hostile.size(); ++i) forgery.put(name + i, hostile[i]);
        CHECK(code_of(forgery.decode(0)) == ErrorCode::corrupt);
    }
}

TEST_CASE("record: random bytes behind a right checksum never decode into something that cannot be encoded") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const auto samples = sample_records();
    size_t decoded = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto bytes = encoded(samples[random() % samples.size()]);
        Forgery forgery(bytes);
        // The lengths in the header stay, the rest is fair game.
        for (uint64_t changes = random() % 4 + 1; changes > 0; --changes)
            forgery.put(sizeof(uint32_t) + random() % (bytes.size() - sizeof(uint32_t)), static_cast<uint8_t>(random()));
        forgery.put(offsetof(hf_record_header, lsn), uint64_t{0});
        const auto record = forgery.decode(0);
        if (!record) continue;
        ++decoded;
        const auto again = joined(EncodedRecord(*record, record->length));
        REQUIRE(decode_record(again, 0).has_value());
    }
    CHECK(decoded > 0);
}

TEST_CASE("record: the number of every type has a name of its own") {
    std::set<std::string> names;
    for (uint16_t type = 0; type < 100; ++type) {
        const std::string name = to_string(static_cast<hf_record_type>(type));
        if (name != "UNKNOWN") CHECK(names.insert(name).second);
    }
    CHECK(names.size() == 30);
}

TEST_CASE("record: a checksum without its own field is that of the bytes with zeros there") {
    std::vector<std::byte> bytes(1000);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i * 7);
    auto zeroed = bytes;
    memset(zeroed.data() + 24, 0, 8);
    CHECK(xxh3_64_without(bytes, 24) == xxh3_64(zeroed));
}

}  // namespace
}  // namespace holdfast::journal
