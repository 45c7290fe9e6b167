#include "base/program_output.h"

#include <catch2/catch.hpp>

using namespace holdfast;

TEST_CASE("program output: what it said and how it ended") {
    const auto said = output_of("/bin/sh", {"-c", "echo hello; echo aside >&2; exit 3"}, 10'000);
    REQUIRE(said);
    CHECK(said->text == "hello\n");
    CHECK(said->status == 3);
}

TEST_CASE("program output: one that does not end is killed, with what it started") {
    const auto endless = output_of("/bin/sh", {"-c", "sleep 1000 & wait"}, 200);
    REQUIRE_FALSE(endless);
    CHECK(endless.error().code == ErrorCode::unavailable);
}

TEST_CASE("program output: one that is not there, or dies, or says too much") {
    CHECK(output_of("/nonexistent/x", {}, 1000).error().code == ErrorCode::not_found);
    CHECK(output_of("/bin/sh", {"-c", "kill -9 $$"}, 10'000).error().code == ErrorCode::io);
    CHECK_FALSE(output_of("/bin/sh", {"-c", "head -c 3000000 /dev/zero"}, 10'000));
}

TEST_CASE("program output: programs are found by PATH") {
    CHECK(program_in_path("sh").ends_with("/sh"));
    CHECK(program_in_path("no-such-program-anywhere").empty());
}
