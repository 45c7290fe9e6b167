#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "rewind/apply/applier.h"
#include "rewind/apply/batch.h"
#include "rewind/apply/pieces.h"
#include "test/rewind/store_story.h"
#include "test/support/faulty_disk.h"

namespace holdfast::rewind {

TEST_CASE("pieces: every byte is what was set there last") {
    const uint64_t seed = Catch::rngSeed() + 1;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    constexpr uint64_t size = 300;
    std::string source(size, '\0');
    for (char& byte : source) byte = static_cast<char>(random());
    struct Byte {
        Pieces::Kind kind = Pieces::Kind::image;
        std::byte value{};
    };
    std::vector<Byte> expected(size);
    Pieces pieces;
    for (int step = 0; step < 500; ++step) {
        const uint64_t from = random() % size, end = from + 1 + random() % (size - from);
        const auto kind = static_cast<Pieces::Kind>(1 + random() % 3);
        const ByteSpan bytes = bytes_of(std::string_view(source)).subspan(from, end - from);
        if (kind == Pieces::Kind::bytes) pieces.set_bytes(from, bytes);
        if (kind == Pieces::Kind::zeros) pieces.set_zeros(from, end);
        if (kind == Pieces::Kind::hole) pieces.set_hole(from, end);
        for (uint64_t at = from; at < end; ++at) expected[at] = {kind, bytes[at - from]};

        const uint64_t look = random() % size;
        REQUIRE(pieces.at(look).kind == expected[look].kind);
        uint64_t next = look;
        const Status visited = pieces.visit(look, size, [&](const Pieces::Piece& piece) -> Status {
            REQUIRE(piece.offset == next);
            for (uint64_t at = 0; at < piece.length; ++at) {
                REQUIRE(piece.kind == expected[next + at].kind);
                if (piece.kind == Pieces::Kind::bytes) REQUIRE(piece.bytes[at] == expected[next + at].value);
            }
            next += piece.length;
            return ok();
        });
        REQUIRE(visited.has_value());
        REQUIRE(next == size);
    }
}

TEST_CASE("batch: a copied record lives without the memory it was copied from") {
    Batch batch;
    {
        std::string name = "a name that is long enough not to be stored inside", value = "a value of which the same is true, of course";
        Record record;
        record.type = HF_SETXATTR;
        record.length = 64;
        record.body = journal::SetXattr{{name, value}};
        batch.add(record);
        name.assign(name.size(), '!');
        value.assign(value.size(), '!');
    }
    const auto& xattr = batch.records()[0].as<journal::SetXattr>().xattr;
    CHECK(xattr.name == "a name that is long enough not to be stored inside");
    CHECK(xattr.value == "a value of which the same is true, of course");
    CHECK(batch.bytes() == 64);
}

namespace {

constexpr ObjectId file{100, 1, 1};

std::string text_of(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Overwrites the one file of a fresh store in a batch of its own, with FAULT at the Nth call to the disk of the undo log.
// Returns whether the batch was applied; CALLS and TEXT tell how many calls it made and what the image's file holds then.
bool overwrite_with_fault(uint64_t n, test::Fault fault, uint64_t& calls, std::string& text) {
    test::StoreStory story;
    story.birth(file, "file", S_IFREG | 0644);
    story.write(file, 0, "before");
    story.apply();
    const Lsn next = story.store().applied();
    story.close();

    using test::StoreStory;
    const auto image = StoreStory::need(Image::open(story.volume().store));
    const auto disk = StoreStory::need(open_disk(story.path("undo")));
    test::FaultyDisk faulty(*disk);
    const auto undo = StoreStory::need(UndoLog::open(faulty, story.volume().id, nullptr));
    const auto index = StoreStory::need(Index::open(story.path("index"), *undo));
    const auto applier = StoreStory::need(Applier::create(image, *index, *undo));
    Record record;
    record.type = HF_WRITE;
    record.object = file;
    record.lsn = next;
    record.length = 64;
    record.body = journal::Write{0, bytes_of(std::string_view("after!"))};
    Batch batch;
    batch.add(record);
    faulty.fail_at(n, fault, EIO);
    const bool applied = applier->apply(batch).has_value();
    calls = faulty.call_count();  // since fail_at()
    text = text_of(story.path("image/file"));
    return applied;
}

}  // namespace

// What is overwritten must be safe before it is gone: a power loss at any later moment finds it.
TEST_CASE("apply: the image does not change before its undo is durable") {
    uint64_t calls = 0;
    std::string text;
    REQUIRE(overwrite_with_fault(0, test::Fault::fail, calls, text));
    CHECK(text == "after!");
    REQUIRE(calls >= 2);  // a write and a sync at least
    const uint64_t calls_without_fault = calls;
    for (const test::Fault fault : {test::Fault::fail, test::Fault::fail_midway, test::Fault::stop}) {
        for (uint64_t n = 1; n <= calls_without_fault; ++n) {
            CAPTURE(n);
            CHECK(!overwrite_with_fault(n, fault, calls, text));
            CHECK(text == "before");
        }
    }
}

}  // namespace holdfast::rewind
