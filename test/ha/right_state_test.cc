#include "ha/right/right_state.h"

#include <catch2/catch.hpp>
#include <random>

#include "ha/state/state_file.h"
#include "test/support/memory_disk.h"

using namespace holdfast;
using namespace holdfast::ha;

namespace {

RightState sample() {
    return {{{7, "alpha"}, 6}, "boot-1", {5, "alpha"}, "boot-0"};
}

std::string text_of(const test::MemoryDisk& disk, std::string_view name) {
    const auto bytes = disk.contents(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("right state: what was promised and held comes back, and none is the beginning") {
    test::MemoryDisk disk;
    CHECK(load_right_state(disk, "right").value() == RightState());
    REQUIRE(save_right_state(disk, "right", sample()));
    CHECK(load_right_state(disk, "right").value() == sample());
    RightState given_back = sample();
    given_back.promise = {{8, ""}, 8};
    REQUIRE(save_right_state(disk, "right", given_back));
    CHECK(load_right_state(disk, "right").value() == given_back);
}

TEST_CASE("right state: whatever a power loss leaves is the old one or the new one") {
    std::mt19937_64 random(20261127);
    for (int run = 0; run < 300; ++run) {
        test::MemoryDisk disk;
        RightState state = sample();
        REQUIRE(save_right_state(disk, "right", state));
        const int saves = static_cast<int>(random() % 4);
        for (int i = 0; i < saves; ++i) {
            ++state.promise.term.number;
            REQUIRE(save_right_state(disk, "right", state));
        }
        // What was durable on return is there.
        const auto after = disk.after_power_loss(random);
        CHECK(load_right_state(*after, "right").value() == state);
    }
}

TEST_CASE("right state: every bit that changes, and every cut, is noticed: who does not know what it promised does not vote") {
    test::MemoryDisk disk;
    REQUIRE(save_right_state(disk, "right", sample()));
    const std::string whole = text_of(disk, "right");
    const auto noticed = [&](std::string damaged) {
        disk.set_contents("right", ByteSpan(reinterpret_cast<const std::byte*>(damaged.data()), damaged.size()));
        const auto loaded = load_right_state(disk, "right");
        return !loaded && loaded.error().code == ErrorCode::corrupt;
    };
    for (size_t at = 0; at < whole.size(); ++at) {
        INFO("byte " << at);
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = whole;
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
            REQUIRE(noticed(damaged));
        }
        REQUIRE(noticed(whole.substr(0, at)));
    }
    CHECK(noticed(whole + " "));
}

TEST_CASE("right state: what makes no sense is refused though its digest is right") {
    test::MemoryDisk disk;
    const auto refused = [&](const Json& body) {
        REQUIRE(save_state(disk, "right", body));
        const auto loaded = load_right_state(disk, "right");
        return !loaded && loaded.error().code == ErrorCode::corrupt;
    };
    const Json good = to_json(sample());
    CHECK_FALSE(refused(good));
    for (const char* key : {"format", "promised", "others", "promised_in", "held", "held_in"}) {
        INFO(key);
        Json bad = good;
        bad.erase(key);
        CHECK(refused(bad));
        bad[key] = nullptr;
        CHECK(refused(bad));
    }
    Json large = good;
    large["promised"]["number"] = term_number_max + 1;
    CHECK(refused(large));
    Json newer = good;
    newer["format"] = 2;
    CHECK(refused(newer));
}
