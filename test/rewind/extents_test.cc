#include "rewind/extents.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <random>
#include <unistd.h>

#include "base/unique_fd.h"
#include "test/support/scratch.h"

namespace holdfast::rewind {
namespace {

TEST_CASE("extents: adding, removing and clipping equal a set of bytes") {
    const auto seed = Catch::rngSeed() ? Catch::rngSeed() : std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    constexpr uint64_t size = 100;
    for (int round = 0; round < 200; ++round) {
        ExtentSet set;
        std::vector<bool> bytes(size, false);
        for (int step = 0; step < 30; ++step) {
            const uint64_t offset = random() % size, length = random() % (size - offset + 1);
            const bool adds = random() % 2;
            adds ? set.add(offset, length) : set.remove(offset, length);
            for (uint64_t at = offset; at < offset + length; ++at) bytes[at] = adds;
        }
        const uint64_t clip = random() % size;
        set.clip(clip);
        for (uint64_t at = clip; at < size; ++at) bytes[at] = false;

        uint64_t end = 0, sum = 0;
        bool first = true;
        std::vector<bool> seen(size, false);
        for (const DataExtent& extent : set.take()) {
            CHECK(extent.length > 0);
            // Ranges that touch are one.
            CHECK((first || extent.offset > end));
            first = false;
            end = extent.offset + extent.length;
            for (uint64_t at = extent.offset; at < end; ++at) seen[at] = true;
            sum += extent.length;
        }
        CHECK(seen == bytes);
        CHECK(sum == set.bytes());
        CHECK(set.empty() == (sum == 0));
    }
}

TEST_CASE("extents: the data of a sparse file is found, holes are not") {
    test::ScratchDirectory scratch;
    const UniqueFd fd(::open((scratch / "f").c_str(), O_RDWR | O_CREAT, 0600));
    REQUIRE(fd);
    CHECK(data_extents_of(fd.get()).value().empty());
    REQUIRE(::ftruncate(fd.get(), 1 << 20) == 0);
    REQUIRE(::pwrite(fd.get(), "x", 1, 300'000) == 1);
    const auto extents = data_extents_of(fd.get()).value();
    bool covered = false;
    for (const DataExtent& extent : extents) covered = covered || (extent.offset <= 300'000 && extent.offset + extent.length > 300'000);
    CHECK(covered);
    CHECK(extents.back().offset + extents.back().length <= 1 << 20);
}

TEST_CASE("extents: a closed descriptor is an error") {
    CHECK(data_extents_of(-1).error().sys_errno == EBADF);
}

}  // namespace
}  // namespace holdfast::rewind
