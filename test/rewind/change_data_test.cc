#include "rewind/apply/change_data.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <limits>

#include "base/unique_fd.h"
#include "rewind/extents.h"
#include "test/support/scratch.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t block_bytes = 4096;

Record data_record(hf_record_type type, journal::Body body) {
    Record record;
    record.type = type;
    record.body = std::move(body);
    return record;
}

// A file of its own, changed by records.
class GrowingFile {
public:
    void write(uint64_t offset, uint64_t length) {
        const std::string bytes(length, 'x');
        change(data_record(HF_WRITE, journal::Write{offset, bytes_of(std::string_view(bytes))}));
    }
    void truncate(uint64_t size) { change(data_record(HF_TRUNCATE, journal::Truncate{size})); }
    void allocate(uint64_t offset, uint64_t length, uint32_t mode = 0) {
        change(data_record(HF_FALLOCATE, journal::Fallocate{offset, length, mode}));
    }

    // Is SIZE one that its file system knows? The file has it afterwards.
    bool takes(uint64_t size) { return set_file_size(fd_.get(), size).has_value(); }

    // Is the block data, now that all of the file was read?
    bool is_data(uint64_t block) const {
        std::vector<std::byte> all(256 * block_bytes);
        REQUIRE(read_fully(fd_.get(), all, 0).has_value());
        const auto extents = data_extents_of(fd_.get());
        REQUIRE(extents.has_value());
        for (const DataExtent& extent : *extents)
            if (extent.offset <= block * block_bytes && block * block_bytes < extent.offset + extent.length) return true;
        return false;
    }

private:
    void change(const Record& record) {
        REQUIRE(free_space_ahead(fd_.get(), record, block_bytes).has_value());
        REQUIRE(change_data(fd_.get(), record).has_value());
    }

    test::ScratchDirectory scratch_;
    UniqueFd fd_{::open((scratch_ / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
};

}  // namespace

// XFS allocates ahead of a file that is written at its end once it has 64 KiB; test/model/on_file_system.sh runs this there.
TEST_CASE("change_data: where a file grows over space that was allocated ahead it has a hole, also once that was read") {
    GrowingFile file;
    file.write(0, 16 * block_bytes);
    file.write(16 * block_bytes, 300);
    SECTION("cut to a larger size") { file.truncate(23 * block_bytes + 100); }
    SECTION("written behind its end") { file.write(24 * block_bytes + 100, 300); }
    SECTION("allocated behind its end") { file.allocate(24 * block_bytes, block_bytes); }
    CHECK(file.is_data(16));
    for (uint64_t block = 17; block < 24; ++block) CHECK_FALSE(file.is_data(block));
}

TEST_CASE("change_data: space that was set aside behind a file's end is a hole where the file grows over it, also once that was read") {
    GrowingFile file;
    file.write(0, 300);
    file.allocate(3 * block_bytes, 5 * block_bytes, HF_FALLOC_KEEP_SIZE);
    file.write(24 * block_bytes, 300);
    for (uint64_t block = 1; block < 24; ++block) CHECK_FALSE(file.is_data(block));
}

TEST_CASE("change_data: a file grows to the largest size of its file system") {
    // XFS and btrfs take any; ext4 with blocks of 4 KiB takes 16 TiB less one of them.
    uint64_t largest = std::numeric_limits<off_t>::max();
    if (!GrowingFile().takes(largest)) largest = (uint64_t{1} << 44) - block_bytes;
    GrowingFile file;
    if (!file.takes(largest)) return;
    file.truncate(0);
    file.write(0, 100);
    file.truncate(largest);
    CHECK(file.is_data(0));
    CHECK_FALSE(file.is_data(1));
}

}  // namespace holdfast::rewind
