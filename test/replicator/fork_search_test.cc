#include "replicator/protocol/fork_search.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

// A history as a list of record boundaries; what the chain is at each is a number.
struct History {
    std::vector<Position> boundaries;

    std::optional<Position> at_or_below(Lsn lsn) const {
        auto after = std::upper_bound(boundaries.begin(), boundaries.end(), lsn, [](Lsn value, const Position& p) { return value < p.lsn; });
        return after == boundaries.begin() ? std::nullopt : std::optional<Position>(*(after - 1));
    }
};

Position boundary(Lsn lsn, uint64_t chain) {
    Position position{lsn, {}};
    for (size_t i = 0; i < 8; ++i) position.chain[i] = static_cast<uint8_t>(chain >> 8 * i);
    return position;
}

void extend(History& history, size_t records, std::mt19937_64& random) {
    for (size_t i = 0; i < records; ++i)
        history.boundaries.push_back(boundary(history.boundaries.back().lsn + 8 * (1 + random() % 100), random()));
}

// Runs the search to its end and counts the questions.
std::pair<std::optional<Position>, int> search(const History& ours, const History& theirs) {
    const Lsn oldest = std::max(ours.boundaries.front().lsn, theirs.boundaries.front().lsn);
    const Lsn newest = std::min(ours.boundaries.back().lsn, theirs.boundaries.back().lsn);
    ForkSearch search(oldest, newest);
    int questions = 0;
    while (const auto question = search.question()) {
        REQUIRE(++questions < 70);
        search.answer(ours.at_or_below(*question), theirs.at_or_below(*question));
    }
    return {search.shared(), questions};
}

}  // namespace

TEST_CASE("fork search: equal histories are recognized by one question") {
    std::mt19937_64 random(1);
    History both{{boundary(0, 0)}};
    extend(both, 50, random);
    const auto [shared, questions] = search(both, both);
    CHECK(shared == both.boundaries.back());
    CHECK(questions == 1);
}

TEST_CASE("fork search: one that is behind is found by its own end") {
    std::mt19937_64 random(2);
    History behind{{boundary(0, 0)}};
    extend(behind, 50, random);
    History ahead = behind;
    extend(ahead, 20, random);
    CHECK(search(ahead, behind) == std::pair(std::optional(behind.boundaries.back()), 1));
    CHECK(search(behind, ahead) == std::pair(std::optional(behind.boundaries.back()), 1));
}

TEST_CASE("fork search: the fork is found wherever it is") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 2000; ++round) {
        History ours{{boundary(8 * (random() % 1000), random())}};
        extend(ours, random() % 60, random);
        History theirs = ours;
        const Position fork = ours.boundaries.back();
        // Each keeps only the newer part of what they share, but at least the fork.
        const auto forget = [&](History& history) {
            history.boundaries.erase(history.boundaries.begin(), history.boundaries.begin() + static_cast<ptrdiff_t>(random() % history.boundaries.size()));
        };
        forget(ours);
        forget(theirs);
        extend(ours, 1 + random() % 60, random);
        extend(theirs, 1 + random() % 60, random);
        CHECK(search(ours, theirs).first == fork);
    }
}

TEST_CASE("fork search: histories that share nothing share nothing") {
    std::mt19937_64 random(3);
    History ours{{boundary(80, 1)}}, theirs{{boundary(80, 2)}};
    extend(ours, 30, random);
    extend(theirs, 30, random);
    CHECK(!search(ours, theirs).first);
}

TEST_CASE("fork search: answers that make no sense end it all the same") {
    std::mt19937_64 random(4);
    for (int round = 0; round < 200; ++round) {
        ForkSearch search(random() % 1000, random());
        int questions = 0;
        while (search.question()) {
            REQUIRE(++questions < 70);
            const auto ours = boundary(random() % 4, 0);
            search.answer(ours, random() % 2 ? std::optional(ours) : std::nullopt);
        }
    }
}
