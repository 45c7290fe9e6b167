#include "fusefs/worker_arguments.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::fusefs;

TEST_CASE("worker arguments: what the supervisor writes is what the worker reads") {
    WorkerArguments given;
    given.store = "/var/lib/a store";
    given.keeper_fd = 5;
    given.device_fd = 6;
    given.backing_fd = 7;
    given.view_fd = 8;
    given.threads = 12;
    given.session = 1234567890123456789ULL;
    given.resumed = true;
    given.bypass = "around the mount: process 1 (\"a b\")";
    given.begin_bypass = true;
    given.left_out = {1, 18446744073709551615ULL, 77};
    auto read = parse_worker_arguments(to_arguments(given));
    REQUIRE(read.has_value());
    REQUIRE(read->has_value());
    const WorkerArguments& taken = **read;
    CHECK(taken.store == given.store);
    CHECK(taken.keeper_fd == 5);
    CHECK(taken.device_fd == 6);
    CHECK(taken.backing_fd == 7);
    CHECK(taken.view_fd == 8);
    CHECK(taken.threads == 12);
    CHECK(taken.session == given.session);
    CHECK(taken.resumed);
    CHECK(taken.begin_bypass);
    CHECK(taken.left_out == given.left_out);
    CHECK(taken.bypass == given.bypass);
    CHECK_FALSE(taken.recover_only);
}

TEST_CASE("worker arguments: a command line of mount(8) is not one") {
    auto read = parse_worker_arguments({"/store", "/srv", "-o", "rw"});
    REQUIRE(read.has_value());
    CHECK_FALSE(read->has_value());
}

TEST_CASE("worker arguments: what a person types by mistake is refused") {
    for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
             {"--worker"}, {"--worker", "--keeper-fd", "3", "--device-fd", "4"}, {"--worker", "--keeper-fd", "-3", "--device-fd", "4", "--backing-fd", "5"},
             {"--worker", "--keeper-fd", "3", "--device-fd", "4", "--backing-fd", "5", "--threads", "0"}, {"--recover", "--backing-fd", "5"},
             {"--worker", "--keeper-fd", "3x", "--device-fd", "4", "--backing-fd", "5"}, {"--worker", "--unknown"}, {"--recover", "--store"}})
        CHECK_FALSE(parse_worker_arguments(bad).has_value());
}
