#include "replicator/engine/losses.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

const Error away{ErrorCode::unavailable, "no route"}, refused{ErrorCode::permission, "no such replica"}, maintenance{code_of(Reason::maintenance), "in maintenance"};
constexpr uint64_t second_ns = 1'000'000'000;
using Tell = Losses::Tell;

}  // namespace

TEST_CASE("losses: each reason is told once until the stream goes again") {
    Losses losses;
    CHECK(losses.ended(away, 1) == Tell::loss);
    CHECK(losses.ended(away, 2) == Tell::nothing);
    CHECK(losses.ended(refused, 3) == Tell::loss);
    CHECK(losses.ended(away, 4) == Tell::loss);
    losses.streams();
    CHECK(losses.ended(away, 5) == Tell::loss);
}

TEST_CASE("losses: a peer in maintenance is told of once and is no alarm, until it stays away for too long") {
    Losses losses;
    CHECK(losses.ended(maintenance, second_ns) == Tell::rest);
    CHECK(losses.ended(away, 2 * second_ns) == Tell::nothing);
    CHECK(losses.ended(maintenance, 3 * second_ns) == Tell::nothing);
    CHECK(losses.ended(away, 3 * second_ns + rest_quiet_ns - 1) == Tell::nothing);
    CHECK(losses.ended(away, 3 * second_ns + rest_quiet_ns) == Tell::loss);
    CHECK(losses.ended(away, 4 * second_ns + rest_quiet_ns) == Tell::nothing);
}

TEST_CASE("losses: a peer that came back from maintenance is an alarm again when it goes") {
    Losses losses;
    CHECK(losses.ended(away, 1) == Tell::loss);
    CHECK(losses.ended(maintenance, 2) == Tell::rest);
    losses.streams();
    CHECK(losses.ended(away, 3) == Tell::loss);
}
