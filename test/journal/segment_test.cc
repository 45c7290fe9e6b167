#include "journal/segment.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>

#include "test/support/memory_disk.h"
#include "test/support/sample_records.h"

namespace holdfast::journal {
namespace {

const VolumeId volume{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
constexpr uint64_t size = HF_SEGMENT_BYTES_MIN;

SegmentHeader header(uint64_t index) {
    return {volume, index, size, 3, 2, 1'790'000'000'000'000'000};
}

template <typename T>
std::vector<std::byte> forged(size_t offset, T value, bool fix_checksum = true) {
    auto bytes = encode_segment_header(header(7));
    memcpy(bytes.data() + offset, &value, sizeof value);
    const uint64_t checksum = xxh3_64_without(bytes, offsetof(hf_segment_header, checksum));
    if (fix_checksum) memcpy(bytes.data() + offsetof(hf_segment_header, checksum), &checksum, sizeof checksum);
    return bytes;
}

ErrorCode code_of(ByteSpan bytes) {
    const auto decoded = decode_segment_header(bytes, volume, size, 7);
    REQUIRE_FALSE(decoded.has_value());
    return decoded.error().code;
}

TEST_CASE("segment: names sort as numbers and come back") {
    CHECK(segment_name(7) == "0000000000000007.seg");
    CHECK(parse_segment_name("0000000000000007.seg") == 7);
    CHECK(parse_segment_name(segment_name(~0ULL)) == ~0ULL);
    CHECK(segment_name(255) < segment_name(256));
    for (const char* other : {"", ".seg", "7.seg", "000000000000000g.seg", "000000000000000A.seg", "0000000000000007.seg ",
                              "00000000000000007.seg", "inflight", "cursors", "spare-0000000000000007.new"}) {
        CHECK_FALSE(parse_segment_name(other).has_value());
    }
    CHECK(is_spare_name(spare_name(7)));
    CHECK_FALSE(is_spare_name(segment_name(7)));
    CHECK_FALSE(is_spare_name("inflight.new"));
}

TEST_CASE("segment: a header comes back from its bytes") {
    const auto bytes = encode_segment_header(header(7));
    REQUIRE(bytes.size() == HF_SEGMENT_HEADER_BYTES);
    const auto back = decode_segment_header(bytes, volume, size, 7);
    REQUIRE(back.has_value());
    CHECK(back->term == 3);
    CHECK(back->timeline == 2);
    CHECK(back->created_ns == 1'790'000'000'000'000'000);
}

TEST_CASE("segment: the outcomes of reading a header are told apart") {
    const auto good = encode_segment_header(header(7));
    CHECK(code_of(ByteSpan(good).first(HF_SEGMENT_HEADER_BYTES - 1)) == ErrorCode::torn);
    CHECK(code_of({}) == ErrorCode::torn);
    CHECK(code_of(std::vector<std::byte>(HF_SEGMENT_HEADER_BYTES)) == ErrorCode::torn);
    CHECK(code_of(std::vector<std::byte>(HF_SEGMENT_HEADER_BYTES, std::byte{0x20})) == ErrorCode::foreign);
    CHECK(code_of(forged(offsetof(hf_segment_header, volume), uint8_t{0xff})) == ErrorCode::foreign);
    CHECK(code_of(forged(offsetof(hf_segment_header, version), uint32_t{2}, false)) == ErrorCode::unsupported);
    CHECK(code_of(forged(offsetof(hf_segment_header, version), uint32_t{0})) == ErrorCode::corrupt);
    CHECK(code_of(forged(offsetof(hf_segment_header, term), uint64_t{4}, false)) == ErrorCode::corrupt);
    CHECK(code_of(forged(offsetof(hf_segment_header, reserved0), uint32_t{1})) == ErrorCode::corrupt);
    CHECK(code_of(forged(offsetof(hf_segment_header, header_bytes), uint32_t{512})) == ErrorCode::corrupt);
    CHECK(code_of(forged(offsetof(hf_segment_header, segment_bytes), uint64_t{3})) == ErrorCode::corrupt);
    CHECK(code_of(forged(offsetof(hf_segment_header, segment_index), ~uint64_t{0})) == ErrorCode::corrupt);
    CHECK(code_of(forged(2000, uint8_t{1})) == ErrorCode::corrupt);
    CHECK(code_of(encode_segment_header(header(8))) == ErrorCode::corrupt);
    auto other_size = header(7);
    other_size.segment_bytes *= 2;
    CHECK(code_of(encode_segment_header(other_size)) == ErrorCode::corrupt);
}

TEST_CASE("segment: every flipped bit of a header is noticed") {
    auto bytes = encode_segment_header(header(7));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= std::byte(1 << bit % 8);
        REQUIRE_FALSE(decode_segment_header(bytes, volume, size, 7).has_value());
        bytes[bit / 8] ^= std::byte(1 << bit % 8);
    }
}

TEST_CASE("segment: the chain depends on every checksum, on their order and on what came before") {
    auto chain_of = [](ChainHash::Value before, std::vector<uint64_t> checksums) {
        ChainHash chain(before);
        for (uint64_t checksum : checksums) chain.add(checksum);
        CHECK(chain.count() == checksums.size());
        CHECK(chain.before() == before);
        return chain.after();
    };
    const auto value = chain_of({}, {1, 2, 3});
    CHECK(chain_of({}, {1, 2, 3}) == value);
    CHECK(chain_of({}, {1, 3, 2}) != value);
    CHECK(chain_of({}, {1, 2}) != value);
    CHECK(chain_of({1}, {1, 2, 3}) != value);
    CHECK(chain_of({}, {}) != ChainHash::Value{});
}

TEST_CASE("segment: the seal is read from the end of a file that was cut, and only from there") {
    test::MemoryDisk disk;
    auto file = disk.open("s", Disk::Open::create_new);
    REQUIRE(file.has_value());
    ChainHash chain({9});
    chain.add(77);
    const Lsn lsn = segment_first_record(7, size) + 800;
    const EncodedRecord seal(seal_record(chain, lsn, 5), static_cast<uint32_t>(segment_end(7, size) - lsn));
    REQUIRE((*file)->pwrite(seal.pieces(), lsn % size).has_value());
    const auto read = read_seal(**file, 7, size);
    REQUIRE(read.has_value());
    REQUIRE(read->has_value());
    CHECK((*read)->chain_after == chain.after());
    CHECK((*read)->record_count == 1);
    CHECK_FALSE(read_seal(**file, 8, size)->has_value());
    REQUIRE((*file)->truncate(size).has_value());
    CHECK_FALSE(read_seal(**file, 7, size)->has_value());
    REQUIRE((*file)->truncate(100).has_value());
    CHECK_FALSE(read_seal(**file, 7, size)->has_value());
}

}  // namespace
}  // namespace holdfast::journal
