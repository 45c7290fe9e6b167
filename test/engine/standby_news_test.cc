#include "replicator/engine/standby_news.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

constexpr uint64_t second = 1'000'000'000;
const StandbySaid none{}, follows{"following", "", 100}, compares{"comparing", "", 0}, still{"unreachable", "no disk", 0}, refused{"refused", "not empty", 0};

std::string told(StandbyNews& news, const StandbySaid& said, uint64_t now_ns) {
    const auto one = news.look(said, now_ns);
    return one ? to_string(one->code) + " " + one->why : "";
}

}  // namespace

TEST_CASE("standby news: one that stands still is told after a while, once for each reason, and that it follows again") {
    StandbyNews news;
    CHECK(told(news, none, 0) == "");
    CHECK(told(news, follows, second) == "");
    CHECK(told(news, still, 2 * second) == "");
    CHECK(told(news, still, 21 * second) == "");
    CHECK(told(news, still, 22 * second) == "HF-E-217 no disk");
    CHECK(told(news, still, 90 * second) == "");
    CHECK(told(news, refused, 91 * second) == "HF-E-217 not empty");
    CHECK(told(news, none, 92 * second) == "");
    CHECK(told(news, follows, 93 * second) == "HF-E-218 it has what the replica has");
    CHECK(told(news, follows, 94 * second) == "");
    // A short one is nobody's business.
    CHECK(told(news, still, 95 * second) == "");
    CHECK(told(news, compares, 100 * second) == "");
    CHECK(told(news, still, 110 * second) == "");
    CHECK(told(news, still, 140 * second) == "HF-E-217 no disk");
    CHECK(told(news, compares, 141 * second) == "HF-E-218 it is compared with the replica first");
}

TEST_CASE("standby news: what a store says that makes no sense is nothing") {
    for (const char* text : {"{}", "[]", "null", R"({"standby": null})", R"({"standby": 7})", R"({"standby": {"state": 3, "why": {}, "position": "x"}})"}) {
        const StandbySaid said = standby_said(Json::parse(text));
        CHECK(said.state == "");
        CHECK(said.why == "");
        CHECK(said.position == 0);
    }
    const StandbySaid said = standby_said(Json::parse(R"({"applied": 9, "standby": {"state": "following", "position": 8}})"));
    CHECK(said.state == "following");
    CHECK(said.position == 8);
}
