// The journal's format, version 1, byte for byte. The golden file is a sealed segment with every sample record; it
// was written once and is never written again: a change that needs that is a new version of the format.
//
// HOLDFAST_WRITE_GOLDEN=DIRECTORY makes the first test write the file there, for the next version's sake.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "journal/reader.h"
#include "journal/segment.h"
#include "test/support/memory_disk.h"
#include "test/support/sample_records.h"

namespace holdfast::journal {
namespace {

constexpr uint64_t index_of_golden = 5;
constexpr uint64_t size = HF_SEGMENT_BYTES_MIN;
const VolumeId volume{{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}};
constexpr ChainHash::Value chain_before{0xc4, 0xa1, 0x4, 7};

std::filesystem::path golden_directory() {
    return std::filesystem::path(HOLDFAST_SOURCE_DIR) / "test/journal/golden";
}

std::vector<std::byte> golden() {
    std::ifstream file(golden_directory() / "segment_v1.seg", std::ios::binary);
    REQUIRE(file.good());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const ByteSpan bytes = bytes_of(std::string_view(text));
    return {bytes.begin(), bytes.end()};
}

// The same segment, made by this program. The third record leaves padding, as a short write does.
std::vector<std::byte> made() {
    auto bytes = encode_segment_header({volume, index_of_golden, size, 3, 2, 1'790'000'000'000'000'000});
    ChainHash chain(chain_before);
    Lsn lsn = segment_first_record(index_of_golden, size);
    const auto append = [&](const EncodedRecord& record) {
        const auto joined = test::joined(record);
        bytes.resize(lsn % size);
        bytes.insert(bytes.end(), joined.begin(), joined.end());
        lsn += record.length();
    };
    size_t number = 0;
    for (Record record : test::sample_records()) {
        record.lsn = lsn;
        const EncodedRecord encoded(record, encoded_length(record.body) + (++number == 3 ? 24 : 0));
        append(encoded);
        chain.add(encoded.checksum());
    }
    append(EncodedRecord(seal_record(chain, lsn, 1'790'000'000'000'000'999),
                         static_cast<uint32_t>(segment_end(index_of_golden, size) - lsn)));
    return bytes;
}

TEST_CASE("format: this program still writes version 1 byte for byte") {
    const auto bytes = made();
    if (const char* directory = std::getenv("HOLDFAST_WRITE_GOLDEN")) {
        std::ofstream file(std::filesystem::path(directory) / "segment_v1.seg", std::ios::binary | std::ios::trunc);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    const auto expected = golden();
    REQUIRE(bytes.size() == expected.size());
    for (size_t i = 0; i < bytes.size(); ++i) {
        INFO("byte " << i);
        REQUIRE(bytes[i] == expected[i]);
    }
}

TEST_CASE("format: this program still reads version 1") {
    test::MemoryDisk disk;
    disk.set_contents(segment_name(index_of_golden), golden());
    Reader reader(disk, volume, size, nullptr);
    reader.seek(segment_begin(index_of_golden, size));
    for (const Record& expected : test::sample_records()) {
        if (expected.type == HF_VOID) continue;
        const auto record = reader.next();
        INFO(to_string(expected.type));
        REQUIRE(record.has_value());
        REQUIRE(record->has_value());
        CHECK((*record)->type == expected.type);
        CHECK((*record)->object == expected.object);
        CHECK((*record)->time_ns == expected.time_ns);
        Record again = **record;
        again.lsn = 0;
        CHECK((again.flags & ~HF_RECORD_LAST_LINK) == expected.flags);
        CHECK(test::encoded(again) == test::encoded(expected));
    }
    const auto end = reader.next();
    REQUIRE(end.has_value());
    CHECK_FALSE(end->has_value());
    CHECK(reader.position() == segment_end(index_of_golden, size));

    auto file = disk.open(segment_name(index_of_golden), Disk::Open::existing_read_only);
    const auto seal = read_seal(**file, index_of_golden, size);
    REQUIRE(seal.has_value());
    REQUIRE(seal->has_value());
    CHECK((*seal)->chain_before == chain_before);
    CHECK((*seal)->record_count == test::sample_records().size());
}

// The hexadecimal dump of docs/journal_format.md: "001060 50 00 ...".
std::vector<std::byte> worked_example() {
    std::ifstream page(golden_directory() / "../../../docs/journal_format.md");
    REQUIRE(page.good());
    std::vector<std::byte> bytes;
    for (std::string line; std::getline(page, line);) {
        std::istringstream words(line);
        std::string word;
        if (!(words >> word) || word.size() != 6 || word.find_first_not_of("0123456789abcdef") != word.npos) continue;
        bytes.resize(std::stoul(word, nullptr, 16));
        for (int column = 0; column < 16 && words >> word && word.size() == 2; ++column)
            bytes.push_back(std::byte(std::stoul(word, nullptr, 16)));
    }
    return bytes;
}

TEST_CASE("format: the worked example of the page is what it says") {
    test::MemoryDisk disk;
    disk.set_contents(segment_name(1), worked_example());
    Reader reader(disk, volume, size, nullptr);
    reader.seek(segment_begin(1, size));
    const auto unlink = reader.next();
    REQUIRE(unlink.has_value());
    REQUIRE(unlink->has_value());
    CHECK((*unlink)->as<Unlink>().name == "old.log");
    CHECK((*unlink)->as<Unlink>().last_link);
    const auto write = reader.next();
    REQUIRE(write.has_value());
    REQUIRE(write->has_value());
    CHECK((*write)->as<Write>().offset == 4096);
    CHECK((*write)->as<Write>().data.size() == 10);
    const auto end = reader.next();
    REQUIRE(end.has_value());
    CHECK_FALSE(end->has_value());
    CHECK(reader.position() == segment_end(1, size));
}

}  // namespace
}  // namespace holdfast::journal
