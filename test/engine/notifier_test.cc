#include "replicator/notify/notifier.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

Event an_event(uint64_t number, Severity severity = Severity::warning) {
    return {number, number, EventCode::replica_lost, severity, "A sentence.", {}};
}

bool comes_true(const std::function<bool()>& is_so) {
    for (int i = 0; i < 10'000 && !is_so(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return is_so();
}

// Delivers nothing until it may.
struct Gate {
    std::promise<void> opened;
    std::shared_future<void> is_open = opened.get_future().share();
    Mutex mutex;
    std::vector<Notice> delivered;

    Notifier::Deliver deliver() {
        return [this](const Notice& notice) {
            is_open.wait();
            MutexLock lock(mutex);
            delivered.push_back(notice);
            return ok();
        };
    }
    size_t count() {
        MutexLock lock(mutex);
        return delivered.size();
    }
};

}  // namespace

TEST_CASE("notifier: events of its severity and above are delivered in order") {
    Gate gate;
    gate.opened.set_value();
    Notifier notifier(Severity::warning, gate.deliver());
    notifier.offer(an_event(1, Severity::error));
    notifier.offer(an_event(2, Severity::info));
    notifier.offer(an_event(3, Severity::warning));
    REQUIRE(comes_true([&] { return notifier.status().delivered == 2; }));
    CHECK(gate.delivered[0].event.number == 1);
    CHECK(gate.delivered[1].event.number == 3);
    CHECK(gate.delivered[1].left_out == 0);
    CHECK_FALSE(to_json(gate.delivered[1]).contains("left_out"));
}

TEST_CASE("notifier: a delivery that hangs makes nobody wait, the oldest are left out, and the next one says so") {
    Gate gate;
    Notifier notifier(Severity::info, gate.deliver());
    notifier.offer(an_event(1));
    // The first is being delivered, and not waiting any more.
    const auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (uint64_t number = 2; number < 2 + notices_max + 7; ++number) notifier.offer(an_event(number));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    CHECK(notifier.status().left_out == 7);
    CHECK(notifier.status().delivered == 0);
    gate.opened.set_value();
    REQUIRE(comes_true([&] { return gate.count() == 1 + notices_max; }));
    CHECK(gate.delivered[0].left_out == 0);
    CHECK(gate.delivered[1].event.number == 2 + 7);
    CHECK(gate.delivered[1].left_out == 7);
    CHECK(to_json(gate.delivered[1])["left_out"] == 7);
    CHECK(gate.delivered[2].left_out == 0);
    CHECK(gate.delivered.back().event.number == 2 + notices_max + 6);
}

TEST_CASE("notifier: a failure is counted with its reason, and the next event is delivered all the same") {
    Notifier notifier(Severity::info, [](const Notice& notice) -> Status {
        if (notice.event.number == 1) return Error{ErrorCode::unavailable, "nobody is there"};
        return ok();
    });
    notifier.offer(an_event(1));
    REQUIRE(comes_true([&] { return notifier.status().failed == 1; }));
    CHECK(notifier.status().why == "nobody is there");
    notifier.offer(an_event(2));
    REQUIRE(comes_true([&] { return notifier.status().delivered == 1; }));
    CHECK(notifier.status().why.empty());
}

TEST_CASE("notifier: its end delivers what waits") {
    Gate gate;
    gate.opened.set_value();
    {
        Notifier notifier(Severity::info, gate.deliver());
        for (uint64_t number = 1; number <= 20; ++number) notifier.offer(an_event(number));
    }
    CHECK(gate.delivered.size() == 20);
}

TEST_CASE("notifier: its end does not wait for more than it can deliver in its time") {
    std::atomic<int> delivered{0};
    const auto begin = std::chrono::steady_clock::now();
    {
        Notifier notifier(Severity::info, [&](const Notice&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(300));
            ++delivered;
            return ok();
        });
        for (uint64_t number = 1; number <= notices_max; ++number) notifier.offer(an_event(number));
    }
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(8));
    CHECK(delivered < 20);
}
