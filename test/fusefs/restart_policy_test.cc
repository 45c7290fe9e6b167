#include "fusefs/restart_policy.h"

#include <catch2/catch.hpp>

using namespace holdfast::fusefs;

namespace {
constexpr uint64_t second = 1'000'000'000;
}

TEST_CASE("restarts: a worker that serves and dies now and then is always replaced, at once") {
    WorkerRestarts restarts;
    for (uint64_t death = 0; death < 10 * worker_deaths_max; ++death) {
        REQUIRE(restarts.may_restart(true, death * worker_deaths_window_ns / worker_deaths_max));
        REQUIRE(restarts.delay_ns() == 0);
    }
}

TEST_CASE("restarts: too many deaths within the window end it") {
    WorkerRestarts restarts;
    uint64_t now = second;
    for (unsigned death = 0; death < worker_deaths_max; ++death) REQUIRE(restarts.may_restart(true, now += 1000));
    CHECK_FALSE(restarts.may_restart(true, now));
}

TEST_CASE("restarts: workers that never get to serve are tried with a delay, and then no more") {
    WorkerRestarts restarts;
    for (unsigned start = 0; start < worker_failed_starts_max; ++start) {
        REQUIRE(restarts.may_restart(false, start));
        REQUIRE(restarts.delay_ns() > 0);
    }
    CHECK_FALSE(restarts.may_restart(false, 100));
}

TEST_CASE("restarts: a worker that served forgives the failed starts before it") {
    WorkerRestarts restarts;
    for (unsigned start = 0; start < worker_failed_starts_max; ++start) REQUIRE(restarts.may_restart(false, start));
    CHECK(restarts.may_restart(true, second));
    CHECK(restarts.delay_ns() == 0);
    CHECK(restarts.may_restart(false, second));
}

TEST_CASE("restarts: a service that keeps dying is started ever more rarely, and quickly again once it was well") {
    ServiceRestarts restarts;
    uint64_t now = 0, last_delay = 0;
    for (int death = 0; death < 20; ++death) {
        const uint64_t next = restarts.next_start_ns(now, now);
        CHECK(next - now >= last_delay);
        CHECK(next - now <= service_restart_delay_max_ns);
        last_delay = next - now;
        now = next;
    }
    CHECK(last_delay == service_restart_delay_max_ns);
    CHECK(restarts.next_start_ns(now, now + service_is_well_after_ns) == now + service_is_well_after_ns + service_restart_delay_min_ns);
}
