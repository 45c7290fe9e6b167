#include "base/disk.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "test/support/scratch.h"

using namespace holdfast;

namespace {

struct Place {
    test::ScratchDirectory scratch;
    std::unique_ptr<Disk> disk = open_disk(scratch.path()).value();
    std::unique_ptr<File> create(const std::string& name) const { return disk->open(name, Disk::Open::create_new).value(); }
};

std::string read(File& file, uint64_t offset, size_t bytes) {
    std::string text(bytes, '?');
    text.resize(file.pread({reinterpret_cast<std::byte*>(text.data()), text.size()}, offset).value());
    return text;
}

}  // namespace

TEST_CASE("disk: a directory that is not there, or is a file, is an error with its path") {
    Place place;
    CHECK(open_disk(place.scratch / "none").error().code == ErrorCode::not_found);
    CHECK(open_disk(place.scratch / "none").error().message.find("none") != std::string::npos);
    std::ofstream(place.scratch / "file") << "x";
    CHECK_FALSE(open_disk(place.scratch / "file").has_value());
}

TEST_CASE("disk: creating never opens what is there, opening never creates") {
    Place place;
    CHECK(place.disk->open("a", Disk::Open::existing).error().code == ErrorCode::not_found);
    place.create("a");
    CHECK(place.disk->open("a", Disk::Open::create_new).error().code == ErrorCode::exists);
    CHECK(place.disk->open("a", Disk::Open::existing).has_value());
    struct stat info;
    REQUIRE(::stat((place.scratch / "a").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
}

TEST_CASE("disk: a symbolic link in the directory is never followed, nor listed") {
    Place place;
    std::ofstream(place.scratch / "real") << "x";
    std::filesystem::create_symlink("real", place.scratch / "link");
    std::filesystem::create_directory(place.scratch / "directory");
    CHECK_FALSE(place.disk->open("link", Disk::Open::existing).has_value());
    CHECK(*place.disk->list() == std::vector<std::string>{"real"});
}

TEST_CASE("disk: names are listed in order, renamed over each other and removed") {
    Place place;
    for (const char* name : {"c", "a", "b"}) place.create(name);
    CHECK(*place.disk->list() == std::vector<std::string>{"a", "b", "c"});
    REQUIRE(place.disk->rename("a", "c"));
    CHECK(*place.disk->list() == std::vector<std::string>{"b", "c"});
    REQUIRE(place.disk->remove("b"));
    CHECK(place.disk->remove("b").error().code == ErrorCode::not_found);
    CHECK(place.disk->rename("b", "x").error().code == ErrorCode::not_found);
    CHECK(place.disk->sync_directory());
    CHECK(place.disk->free_bytes().has_value());
}

TEST_CASE("file: pieces are written one after the other, empty and very many ones too") {
    Place place;
    auto file = place.create("f");
    std::string expected;
    std::vector<std::string> texts;
    for (int i = 0; i < 300; ++i) texts.push_back(i % 7 == 0 ? "" : std::string(static_cast<size_t>(i % 5), static_cast<char>('a' + i % 26)));
    std::vector<ByteSpan> pieces;
    for (const std::string& text : texts) {
        pieces.push_back(bytes_of(text));
        expected += text;
    }
    REQUIRE(file->pwrite(std::span<const ByteSpan>(pieces), 10));
    CHECK(read(*file, 10, 10'000) == expected);
    CHECK(read(*file, 0, 10) == std::string(10, '\0'));
    CHECK(*file->size() == 10 + expected.size());
    std::vector<ByteSpan> nothing(200);
    CHECK(file->pwrite(std::span<const ByteSpan>(nothing), 0));
}

TEST_CASE("file: reading ends at the end") {
    Place place;
    auto file = place.create("f");
    REQUIRE(file->pwrite(bytes_of(std::string_view("hello")), 0));
    CHECK(read(*file, 3, 100) == "lo");
    CHECK(read(*file, 5, 100).empty());
    CHECK(read(*file, 500, 100).empty());
}

TEST_CASE("file: space is allocated without losing what is there, and truncated both ways") {
    Place place;
    auto file = place.create("f");
    REQUIRE(file->pwrite(bytes_of(std::string_view("hello")), 0));
    REQUIRE(file->allocate(1 << 20));
    CHECK(*file->size() == 1 << 20);
    REQUIRE(file->allocate(100));
    CHECK(*file->size() == 1 << 20);
    CHECK(read(*file, 0, 6) == std::string("hello\0", 6));
    REQUIRE(file->truncate(2));
    CHECK(read(*file, 0, 10) == "he");
    REQUIRE(file->truncate(4));
    CHECK(read(*file, 0, 10) == std::string("he\0\0", 4));
    CHECK(file->sync());
    CHECK(file->fd() >= 0);
}

TEST_CASE("file: one that was opened for reading cannot be written") {
    Place place;
    place.create("f");
    auto file = place.disk->open("f", Disk::Open::existing_read_only).value();
    CHECK_FALSE(file->pwrite(bytes_of(std::string_view("x")), 0).has_value());
}
