#include "journal/durability.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::journal;

TEST_CASE("durability: modes and policies are read as they are written") {
    for (const DurabilityMode mode : {DurabilityMode::async, DurabilityMode::semi_sync, DurabilityMode::sync}) CHECK(parse_durability_mode(to_string(mode)).value() == mode);
    for (const char* text : {"block", "degrade:1s", "degrade:10s", "degrade:86400s"}) {
        const auto after_ns = parse_when_alone(text);
        REQUIRE(after_ns);
        CHECK(when_alone_text({DurabilityMode::sync, *after_ns}) == text);
    }
    CHECK(parse_when_alone("degrade:2m").value() == 120 * degrade_after_ns_min);
    CHECK(when_alone_text({}) == "degrade:10s");
}

TEST_CASE("durability: what is none is refused with what it may be") {
    for (const char* text : {"", "Sync", "semisync", "synchronous"}) CHECK(parse_durability_mode(text).error().code == ErrorCode::invalid_argument);
    for (const char* text : {"", "wait", "degrade", "degrade:", "degrade:0s", "degrade:10", "degrade:2d", "degrade:-1s", "degrade: 1s", "block:1s"}) {
        INFO(text);
        const auto refused = parse_when_alone(text);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_argument);
        CHECK_THAT(refused.error().message, Catch::Contains("degrade:10s"));
    }
}
