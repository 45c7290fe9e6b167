#include "base/small_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "test/support/scratch.h"

using namespace holdfast;

namespace {

// Fails the Nth call that changes something, and everything after it, as a crash would.
class StoppingDisk final : public Disk {
public:
    StoppingDisk(Disk& disk, size_t stop_at) : disk_(disk), stop_at_(stop_at) {}
    size_t calls = 0;

    Result<std::unique_ptr<File>> open(std::string_view name, Open how) override {
        if (how == Open::create_new && stops()) return stopped();
        auto file = disk_.open(name, how);
        if (!file) return file;
        return std::unique_ptr<File>(new StoppingFile(*this, std::move(*file)));
    }
    Status rename(std::string_view from, std::string_view to) override {
        if (stops()) return stopped();
        return disk_.rename(from, to);
    }
    Status remove(std::string_view name) override {
        if (stops()) return stopped();
        return disk_.remove(name);
    }
    Result<std::vector<std::string>> list() override { return disk_.list(); }
    Status sync_directory() override {
        if (stops()) return stopped();
        return disk_.sync_directory();
    }
    Result<uint64_t> free_bytes() override { return disk_.free_bytes(); }

private:
    class StoppingFile final : public File {
    public:
        StoppingFile(StoppingDisk& disk, std::unique_ptr<File> file) : disk_(disk), file_(std::move(file)) {}
        Result<size_t> pread(MutableByteSpan data, uint64_t offset) override { return file_->pread(data, offset); }
        Status pwrite(std::span<const ByteSpan> pieces, uint64_t offset) override {
            if (disk_.stops()) return stopped();
            return file_->pwrite(pieces, offset);
        }
        Status sync() override {
            if (disk_.stops()) return stopped();
            return file_->sync();
        }
        Status allocate(uint64_t bytes) override { return file_->allocate(bytes); }
        Status truncate(uint64_t bytes) override { return file_->truncate(bytes); }
        Result<uint64_t> size() override { return file_->size(); }
        int fd() const override { return file_->fd(); }

    private:
        StoppingDisk& disk_;
        std::unique_ptr<File> file_;
    };

    bool stops() { return ++calls >= stop_at_; }
    static Error stopped() { return {ErrorCode::io, "stopped by the test"}; }

    Disk& disk_;
    size_t stop_at_;
};

struct Place {
    test::ScratchDirectory scratch;
    std::unique_ptr<Disk> disk = open_disk(scratch.path()).value();
    std::string contents() const { return read_small_file(*disk, "name", 1000).value(); }
};

}  // namespace

TEST_CASE("small file: what was written is read, and replaced whole") {
    Place place;
    CHECK(read_small_file(*place.disk, "name", 1000).error().code == ErrorCode::not_found);
    REQUIRE(replace_small_file(*place.disk, "name", "a longer first version"));
    REQUIRE(replace_small_file(*place.disk, "name", "second"));
    CHECK(place.contents() == "second");
    REQUIRE(replace_small_file(*place.disk, "name", ""));
    CHECK(place.contents().empty());
    CHECK(*place.disk->list() == std::vector<std::string>{"name"});
}

TEST_CASE("small file: one that is longer than it can be is not ours") {
    Place place;
    REQUIRE(replace_small_file(*place.disk, "name", std::string(1000, 'x')));
    CHECK(read_small_file(*place.disk, "name", 1000)->size() == 1000);
    CHECK(read_small_file(*place.disk, "name", 999).error().code == ErrorCode::corrupt);
}

TEST_CASE("small file: stopped at any call, the old or the new contents are there, and the next attempt succeeds") {
    size_t stop_at = 1;
    for (bool finished = false; !finished; ++stop_at) {
        Place place;
        REQUIRE(replace_small_file(*place.disk, "name", "old"));
        StoppingDisk stopping(*place.disk, stop_at);
        finished = replace_small_file(stopping, "name", "new").has_value();
        INFO("stopped at call " << stop_at);
        CHECK((place.contents() == "old" || place.contents() == "new"));
        if (finished) CHECK(place.contents() == "new");
        REQUIRE(replace_small_file(*place.disk, "name", "later"));
        CHECK(place.contents() == "later");
        CHECK(place.disk->list()->size() == 1);
    }
    // Remove, create, write, sync, rename, sync the directory.
    CHECK(stop_at == 8);
}
