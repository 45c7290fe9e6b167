#include "rewind/chains.h"

#include <catch2/catch.hpp>

#include "test/support/memory_disk.h"

namespace holdfast::rewind {
namespace {

ChainPoint point(uint64_t number) {
    ChainPoint made{number * 4096, {}};
    made.chain[0] = static_cast<uint8_t>(number);
    made.chain[15] = static_cast<uint8_t>(number >> 8);
    return made;
}

std::vector<ChainPoint> points(uint64_t from, uint64_t to) {
    std::vector<ChainPoint> all;
    for (uint64_t number = from; number < to; ++number) all.push_back(point(number));
    return all;
}

struct Bench {
    test::MemoryDisk disk;
    bool is_damaged = false;
    std::vector<ChainPoint> reread() {
        Chains chains;
        is_damaged = !chains.load(disk).value();
        return chains.points();
    }
};

TEST_CASE("chains: what was saved is found again, as far as it lies in the window, and the newest when there are many") {
    Bench bench;
    CHECK(bench.reread().empty());
    Chains chains;
    REQUIRE(chains.load(bench.disk));
    for (const ChainPoint& one : points(1, 20)) chains.add(one);
    CHECK(bench.reread().empty());
    REQUIRE(chains.save(bench.disk, 0));
    CHECK(bench.reread() == points(1, 20));
    REQUIRE(chains.save(bench.disk, 5 * 4096));
    CHECK(bench.reread() == points(5, 20));
    for (const ChainPoint& one : points(20, 20 + chains_max)) chains.add(one);
    REQUIRE(chains.save(bench.disk, 0));
    CHECK(bench.reread() == points(20, 20 + chains_max));
}

TEST_CASE("chains: going back forgets what lies behind, and another history takes its place") {
    Bench bench;
    Chains chains;
    for (const ChainPoint& one : points(1, 10)) chains.add(one);
    REQUIRE(chains.cut(bench.disk, 4 * 4096 + 1));
    CHECK(chains.points() == points(1, 5));
    CHECK(bench.reread() == points(1, 5));
    ChainPoint other = point(3);
    other.chain[7] = 9;
    chains.add(other);
    CHECK(chains.points() == std::vector<ChainPoint>{point(1), point(2), other});
}

TEST_CASE("chains: a damaged file is begun anew") {
    for (const char* text : {"", "no", "{}", "[1]", "[[1]]", "[[1, 2]]", "[[-1, \"00000000000000000000000000000000\"]]", "[[4096, \"00\"]]",
                             "[[2, \"00000000000000000000000000000000\"], [2, \"00000000000000000000000000000000\"]]"}) {
        CAPTURE(text);
        Bench bench;
        bench.disk.set_contents("chains", {reinterpret_cast<const std::byte*>(text), reinterpret_cast<const std::byte*>(text) + strlen(text)});
        CHECK(bench.reread().empty());
        CHECK(bench.is_damaged);
        Chains chains;
        REQUIRE(chains.load(bench.disk));
        chains.add(point(1));
        REQUIRE(chains.save(bench.disk, 0));
        CHECK(bench.reread() == points(1, 2));
        CHECK_FALSE(bench.is_damaged);
    }
}

}  // namespace
}  // namespace holdfast::rewind
