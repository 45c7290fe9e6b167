#include "test/support/memory_disk.h"

#include <catch2/catch.hpp>

#include "base/small_file.h"

using namespace holdfast;
using namespace holdfast::test;

TEST_CASE("memory disk: what was durable when a process died survives the power loss that follows, what was not may not") {
    std::mt19937_64 random(1);
    MemoryDisk disk;
    REQUIRE(replace_small_file(disk, "kept", "old"));
    REQUIRE(replace_small_file(disk, "kept", "new"));
    REQUIRE(disk.open("fresh", Disk::Open::create_new));
    int times_fresh = 0;
    constexpr int draws = 50;
    for (int draw = 0; draw < draws; ++draw) {
        const auto crashed = disk.after_process_crash();
        CHECK(crashed->list().value() == std::vector<std::string>{"fresh", "kept"});
        const auto lost = crashed->after_power_loss(random);
        CHECK(read_small_file(*lost, "kept", 10).value() == "new");
        times_fresh += lost->open("fresh", Disk::Open::existing).has_value();
    }
    CHECK(times_fresh > 0);
    CHECK(times_fresh < draws);
}
