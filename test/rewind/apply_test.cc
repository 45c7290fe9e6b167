#include <catch2/catch.hpp>
#include <random>

#include "rewind/apply/batch.h"
#include "rewind/apply/pieces.h"

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

}  // namespace holdfast::rewind
