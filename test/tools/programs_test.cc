#include "tools/cli/programs.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::cli;

TEST_CASE("child: what it says and how it ended is kept") {
    auto child = Child::start({"/bin/sh", "-c", "echo first; echo mount.fuse.holdfast: the last line >&2; exit 7"}, {});
    REQUIRE(child);
    REQUIRE(child->wait(30'000));
    CHECK(child->exit_status() == 7);
    CHECK(child->error_text() == "first\nmount.fuse.holdfast: the last line\n");
    CHECK(child->last_error_line() == "the last line");
}

TEST_CASE("child: a signal is told from an exit, and the environment is added to") {
    Child::Options options;
    options.environment = {"HOLDFAST_EXIT_CODES=1"};
    auto child = Child::start({"/bin/sh", "-c", "echo $HOLDFAST_EXIT_CODES; kill -9 $$"}, options);
    REQUIRE(child);
    REQUIRE(child->wait(30'000));
    CHECK(child->exit_status() == 128 + 9);
    CHECK(child->error_text() == "1\n");
}

TEST_CASE("child: its output is appended to a log when one is named") {
    test::ScratchDirectory scratch;
    Child::Options options;
    options.log_path = scratch / "log";
    for (int round = 0; round < 2; ++round) {
        auto child = Child::start({"/bin/echo", "line"}, options);
        REQUIRE(child);
        REQUIRE(child->wait(30'000));
    }
    std::ifstream log(scratch / "log");
    std::ostringstream text;
    text << log.rdbuf();
    CHECK(text.str() == "line\nline\n");
}

TEST_CASE("hook: success, failure with its sentence, and one that takes too long") {
    CHECK(run_hook("the quiesce command", "true", 30'000));
    auto failed = run_hook("the quiesce command", "echo no database here >&2; exit 3", 30'000);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == ErrorCode::invalid_argument);
    CHECK(failed.error().message.find("no database here") != std::string::npos);
    CHECK(failed.error().message.find("status 3") != std::string::npos);
    auto slow = run_hook("the quiesce command", "sleep 60 | cat", 200);
    REQUIRE_FALSE(slow.has_value());
    CHECK(slow.error().code == ErrorCode::unavailable);
}
