#include "replicator/protocol/packing_level.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace holdfast::replicator;

namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr size_t batch_bytes = 1 << 20;

// A stream of batches over a link of so many bytes a second, or one that takes whatever comes; and a processor that packs at SPEED at the
// first level and half as fast at each next one, to what SHRINKS says.
struct Stream {
    PackingLevel packing;
    uint64_t now_ns = 5 * second_ns;
    double link = 0;            // bytes a second; 0: it keeps up
    double speed = 500e6;
    double left[13] = {};       // of a byte, by level
    bool is_behind = false;

    Stream() {
        for (int level = 0; level < 13; ++level) left[level] = level == 0 ? 1 : 0.5 - 0.02 * level;
    }
    static double slowness(int level) { return level <= 1 ? 1 : level <= 3 ? 2 : level <= 6 ? 4 : level <= 9 ? 8 : 16; }

    int send(size_t bytes = batch_bytes) {
        const int level = packing.next(is_behind, now_ns).level_for(bytes);
        const double spent = level == 0 ? 0 : static_cast<double>(bytes) / speed * slowness(level);
        const double stored = static_cast<double>(bytes) * left[level];
        packing.packed({level, bytes, static_cast<size_t>(stored), static_cast<uint64_t>(spent * second_ns)});
        const double taken = link > 0 ? stored / link : 0.001;
        is_behind = link > 0 && taken > spent;
        now_ns += static_cast<uint64_t>(std::max(spent, taken) * second_ns);
        return level;
    }
    int after(uint64_t seconds, size_t bytes = batch_bytes) {
        int level = 0;
        for (const uint64_t end_ns = now_ns + seconds * second_ns; now_ns < end_ns;) level = send(bytes);
        return level;
    }
};

}  // namespace

TEST_CASE("packing: a link that keeps up is given what the quickest level makes") {
    Stream stream;
    CHECK(stream.after(30) == 1);
    CHECK(stream.packing.level() == 1);
    REQUIRE(stream.packing.permille());
    CHECK(*stream.packing.permille() >= 475);
    CHECK(*stream.packing.permille() <= 480);
}

TEST_CASE("packing: a slow link is given less, and when it is fast again quickly packed bytes") {
    Stream stream;
    stream.link = 1e6;
    CHECK(stream.after(60) == 12);
    CHECK(stream.packing.permille() < 300);
    stream.link = 0;
    stream.is_behind = false;
    CHECK(stream.after(20) == 1);
}

TEST_CASE("packing: a level that takes most of the time is left") {
    Stream stream;
    stream.link = 1e6;
    stream.after(60);
    stream.speed = 5e6;  // somebody else needs the processor
    CHECK(stream.after(30) < 12);
}

TEST_CASE("packing: a step after which less comes through is taken back, and tried again ever later") {
    Stream stream;
    stream.link = 10e6;
    for (int level = 3; level < 13; ++level) stream.left[level] = 0.6;  // harder is worse here
    int steps = 0, before = 1;
    stream.after(1);
    for (const uint64_t end_ns = stream.now_ns + 120 * second_ns; stream.now_ns < end_ns;) {
        const int level = stream.send();
        steps += level > before;
        before = level;
    }
    CHECK(steps >= 2);
    CHECK(steps <= 5);
    CHECK(before == 1);
}

TEST_CASE("packing: small batches are packed quickly while the link keeps up, and as hard as others while it does not") {
    Stream stream;
    stream.link = 1e6;
    stream.after(60);
    CHECK(stream.packing.next(false, stream.now_ns).level_for(4096) == 1);
    CHECK(stream.packing.next(true, stream.now_ns).level_for(4096) == 12);
}

TEST_CASE("packing: data that does not shrink is sent as it is, tried now and then, and packed again when it does") {
    Stream stream;
    for (double& left : stream.left) left = 1;
    int packed = 0;
    for (int batch = 0; batch < 200; ++batch) packed += stream.send() != 0;
    CHECK(packed >= 10);
    CHECK(packed <= 25);
    for (int level = 1; level < 13; ++level) stream.left[level] = 0.5;
    int as_it_is = 0;
    for (int batch = 0; batch < 100; ++batch) as_it_is += stream.send() == 0;
    CHECK(as_it_is <= static_cast<int>(packing_skips_max));
    CHECK(stream.send() == 1);
}

TEST_CASE("packing: a stretch without a batch says nothing about the link") {
    Stream stream;
    stream.is_behind = true;
    for (int batch = 0; batch < 20; ++batch) {
        CHECK(stream.packing.next(true, stream.now_ns).large == 1);
        stream.packing.packed({1, batch_bytes, batch_bytes / 2, 1000});
        stream.now_ns += 60 * second_ns;
    }
}
