#include "fusefs/binder.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::fusefs;

TEST_CASE("binder arguments: what the supervisor writes is what the binder reads") {
    BinderArguments given;
    given.store = "/backup/a store";
    given.directory = "/srv/--bind";
    given.backing_fd = 7;
    given.flags = 5;
    for (const std::string assembled : {"", "/run/holdfast/x/assembly"}) {
        given.assembled = assembled;
        const auto read = parse_binder_arguments(to_arguments(given));
        REQUIRE((read && *read));
        const BinderArguments& taken = **read;
        CHECK(taken.store == given.store);
        CHECK(taken.directory == given.directory);
        CHECK(taken.backing_fd == 7);
        CHECK(taken.flags == 5);
        CHECK(taken.assembled == assembled);
    }
}

TEST_CASE("binder arguments: others' command lines are none, and broken ones are refused") {
    CHECK_FALSE(parse_binder_arguments({})->has_value());
    CHECK_FALSE(parse_binder_arguments({"/store", "/dir"})->has_value());
    CHECK_FALSE(parse_binder_arguments({"--worker", "--store", "/x"})->has_value());
    using Words = std::vector<std::string>;
    for (const Words& words : {Words{"--bind"}, Words{"--bind", "/store"}, Words{"--bind", "/store", "/dir", "-1", "0", ""},
                               Words{"--bind", "/store", "/dir", "7x", "0", ""}, Words{"--bind", "/store", "", "7", "0", ""}, Words{"--bind", "/store", "/dir", "7", "0"}}) {
        const auto read = parse_binder_arguments(words);
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().code == ErrorCode::invalid_argument);
    }
}
