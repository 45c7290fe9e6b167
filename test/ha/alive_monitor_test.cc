#include "ha/monitor/alive_monitor.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::ha;
using Verdict = AliveMonitor::Verdict;

namespace {

constexpr uint64_t second = 1'000'000'000;

// Rounds as they come when time passes.
struct Watch {
    AliveMonitor monitor;
    AliveRules rules;
    uint64_t now_ns = 1000 * second;

    explicit Watch(AliveRules with = {}) : monitor(with), rules(with) {}

    // A whole round, answered one second after it began.
    void round(bool ping, bool application = true, bool custom = true) {
        while (!monitor.is_due(now_ns)) now_ns += second / 10;
        const uint64_t id = monitor.begin_round(now_ns);
        now_ns += second / 10;
        monitor.take(id, AliveLevel::ping, ping, ping ? "2 ms" : "no answer", now_ns);
        monitor.take(id, AliveLevel::application, application, application ? "postgresql answers" : "postgresql is not active", now_ns);
        if (rules.asks_for(AliveLevel::custom)) monitor.take(id, AliveLevel::custom, custom, "exit status", now_ns);
    }
    Verdict verdict() const { return monitor.state().verdict; }
};

}  // namespace

TEST_CASE("monitor: by default a host is lost when ten rounds in thirty seconds each have failed, and not before") {
    Watch watch;
    watch.round(true);
    CHECK(watch.verdict() == Verdict::alive);
    for (int i = 0; i < 9; ++i) watch.round(false);
    CHECK(watch.verdict() == Verdict::failing);
    watch.round(false);
    CHECK(watch.verdict() == Verdict::lost);
    CHECK(watch.monitor.state().why == "ping: no answer");
}

TEST_CASE("monitor: one good round begins the timeout anew") {
    Watch watch;
    for (int i = 0; i < 9; ++i) watch.round(false);
    CHECK(watch.verdict() == Verdict::failing);
    CHECK(watch.monitor.state().failed_rounds == 9);
    watch.round(true);
    CHECK(watch.verdict() == Verdict::alive);
    for (int i = 0; i < 9; ++i) watch.round(false);
    CHECK(watch.verdict() == Verdict::failing);
    watch.round(false);
    CHECK(watch.verdict() == Verdict::lost);
}

TEST_CASE("monitor: a host that was never seen alive is lost after the whole timeout from the first look") {
    Watch watch;
    for (int i = 0; i < 10; ++i) watch.round(false);
    CHECK(watch.verdict() == Verdict::failing);
    watch.round(false);
    CHECK(watch.verdict() == Verdict::lost);
}

TEST_CASE("monitor: any level that fails fails the round, and is named") {
    AliveRules rules;
    rules.asks = {true, true, true};
    Watch watch(rules);
    watch.round(true, false);
    CHECK(watch.verdict() == Verdict::failing);
    CHECK(watch.monitor.state().why == "application: postgresql is not active");
    watch.round(true, true, false);
    CHECK(watch.monitor.state().failed_rounds == 2);
    watch.round(true, true, true);
    CHECK(watch.verdict() == Verdict::alive);
}

TEST_CASE("monitor: what is not answered in time has failed, and an answer that comes later changes nothing") {
    Watch watch;
    REQUIRE(watch.monitor.is_due(watch.now_ns));
    const uint64_t id = watch.monitor.begin_round(watch.now_ns);
    watch.monitor.take(id, AliveLevel::ping, true, "1 ms", watch.now_ns);
    CHECK(watch.monitor.wake_ns() == watch.now_ns + 30 * second);
    watch.now_ns += 30 * second;
    watch.monitor.tick(watch.now_ns);
    CHECK(watch.verdict() == Verdict::failing);
    CHECK(watch.monitor.state().why == "application: no answer in time");
    watch.monitor.take(id, AliveLevel::application, true, "late", watch.now_ns);
    CHECK(watch.verdict() == Verdict::failing);
}

TEST_CASE("monitor: time during which nobody looked is no evidence") {
    Watch watch;
    for (int i = 0; i < 9; ++i) watch.round(false);
    // This machine slept for an hour.
    watch.now_ns += 3600 * second;
    watch.round(false);
    CHECK(watch.verdict() == Verdict::failing);
    CHECK(watch.monitor.state().failed_rounds == 1);
}

TEST_CASE("monitor: while it is suspended nothing is asked or concluded, that ends by itself, and nothing from before counts") {
    Watch watch;
    for (int i = 0; i < 10; ++i) watch.round(false);
    watch.monitor.suspend(watch.now_ns + 7200 * second);
    CHECK(watch.monitor.is_suspended(watch.now_ns));
    CHECK_FALSE(watch.monitor.is_due(watch.now_ns + 60 * second));
    CHECK(watch.verdict() == Verdict::failing);
    watch.now_ns += 7200 * second;
    CHECK(watch.monitor.is_due(watch.now_ns));
    watch.round(false);
    CHECK(watch.monitor.state().failed_rounds == 1);

    watch.monitor.suspend(watch.now_ns + 7200 * second);
    CHECK_FALSE(watch.monitor.is_due(watch.now_ns + 40 * second));
    watch.monitor.resume(watch.now_ns);
    watch.now_ns += 31 * second;
    CHECK(watch.monitor.is_due(watch.now_ns));
}

TEST_CASE("monitor: a round that is under way when it is suspended is forgotten") {
    Watch watch;
    watch.round(true);
    watch.now_ns += 30 * second;
    REQUIRE(watch.monitor.is_due(watch.now_ns));
    const uint64_t id = watch.monitor.begin_round(watch.now_ns);
    watch.monitor.suspend(watch.now_ns + 10 * second);
    watch.monitor.take(id, AliveLevel::ping, false, "no answer", watch.now_ns + second);
    watch.monitor.tick(watch.now_ns + 60 * second);
    CHECK(watch.verdict() == Verdict::alive);
}

TEST_CASE("monitor: the profile for hosts on one switch takes five seconds") {
    REQUIRE(check_alive_rules(fail_fast_rules));
    Watch watch(fail_fast_rules);
    watch.round(true);
    const uint64_t began = watch.now_ns;
    while (watch.verdict() != Verdict::lost) watch.round(false);
    CHECK(watch.now_ns - began < 6 * second);
    CHECK(watch.now_ns - began >= 4 * second);
}

TEST_CASE("monitor: rules by which one lost answer would be a lost host are refused") {
    CHECK(check_alive_rules({}));
    AliveRules rules;
    rules.timeout_ns = 60 * second;
    CHECK_FALSE(check_alive_rules(rules));
    rules = {};
    rules.asks = {false, false, false};
    CHECK_FALSE(check_alive_rules(rules));
    rules = {};
    rules.ping_wait_ns = 31 * second;
    CHECK_FALSE(check_alive_rules(rules));
    rules = {};
    rules.interval_ns = 1;
    CHECK_FALSE(check_alive_rules(rules));
}
