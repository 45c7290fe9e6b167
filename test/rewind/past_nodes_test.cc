#include "rewind/past/past_nodes.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/clock.h"
#include "rewind/past/moment_pins.h"

namespace holdfast::rewind {
namespace {

using journal::ObjectId;

constexpr ObjectId first{1234, 7, 1}, second{1235, 7, 1}, foreign{1234, 7, 2}, far_away{1ULL << 45, 7, 1};

TEST_CASE("past nodes: names of one object share a number, which comes back after the node was forgotten") {
    PastNodes nodes;
    auto moment = nodes.moment("one", 4096);
    const uint64_t number = nodes.remember(moment, first);
    CHECK(nodes.remember(moment, first) == number);
    CHECK(nodes.remember(moment, second) != number);
    CHECK(nodes.find(number)->object == first);

    nodes.forget(number, 1);
    CHECK(nodes.find(number).has_value());
    nodes.forget(number, 1);
    CHECK(!nodes.find(number).has_value());
    CHECK(nodes.remember(moment, first) == number);
    CHECK(PastNodes::number_of(*moment, first) == number);
}

TEST_CASE("past nodes: the same object has another number at another moment and under another name of the moment") {
    PastNodes nodes;
    auto one = nodes.moment("one", 4096), two = nodes.moment("two", 4096), later = nodes.moment("one", 8192);
    CHECK(one != two);
    CHECK(one != later);
    CHECK(nodes.moment("one", 4096) == one);
    const uint64_t number = nodes.remember(one, first);
    CHECK(nodes.remember(two, first) != number);
    CHECK(nodes.remember(later, first) != number);
}

TEST_CASE("past nodes: objects of another host and inodes beyond forty bits get numbers of their own") {
    PastNodes nodes;
    auto moment = nodes.moment("one", 4096);
    const uint64_t near = nodes.remember(moment, first), other = nodes.remember(moment, foreign),
                   far = nodes.remember(moment, far_away);
    CHECK(near != other);
    CHECK(near != far);
    CHECK(other >> 63 == 1);
    CHECK(far >> 63 == 1);
    CHECK(near >> 63 == 0);
    CHECK(nodes.find(far)->object == far_away);
}

TEST_CASE(
    "past nodes: no number is that of the top directory, and the moment's own directory is known before its look-up") {
    PastNodes nodes;
    for (Lsn lsn = 0; lsn < 2000; ++lsn) {
        auto moment = nodes.moment("lsn:" + std::to_string(lsn), lsn);
        CHECK(PastNodes::number_of(*moment, journal::root_object) != PastNodes::root);
        CHECK(PastNodes::number_of(*moment, journal::root_object) == PastNodes::number_of_moment(moment->text, lsn));
    }
}

TEST_CASE("past nodes: a moment lives as long as a node of it") {
    PastNodes nodes;
    uint64_t number;
    std::weak_ptr<PastMoment> watched;
    {
        auto moment = nodes.moment("one", 4096);
        watched = moment;
        number = nodes.remember(moment, first);
    }
    CHECK(!watched.expired());
    nodes.forget(number, 1);
    CHECK(watched.expired());
    CHECK(nodes.size() == 0);
}

TEST_CASE("past nodes: the kernel giving back more than it holds does no harm") {
    PastNodes nodes;
    const uint64_t number = nodes.remember(nodes.moment("one", 4096), first);
    nodes.forget(number, 100);
    nodes.forget(number, 1);
    nodes.forget(PastNodes::root, 1);
    CHECK(nodes.size() == 0);
}

TEST_CASE("moment pins: a relative moment stays what it was for one process while it is used") {
    ManualClock clock(1'000'000'000'000);
    PastNodes nodes;
    MomentPins pins;
    auto moment = nodes.moment("-10m", 4096);
    pins.pin(100, moment, clock.monotonic_ns());

    clock.advance(pin_idle_ns / 2);
    CHECK(pins.find("-10m", 100, clock.monotonic_ns()) == moment);
    CHECK(pins.find("-10m", 101, clock.monotonic_ns()) == nullptr);
    CHECK(pins.find("-11m", 100, clock.monotonic_ns()) == nullptr);

    moment->last_used_ns = clock.monotonic_ns();
    clock.advance(pin_idle_ns - 1);
    CHECK(pins.find("-10m", 100, clock.monotonic_ns()) == moment);
    clock.advance(2);
    CHECK(pins.find("-10m", 100, clock.monotonic_ns()) == nullptr);
}

TEST_CASE("moment pins: beyond the bound the one that was not used for longest goes") {
    PastNodes nodes;
    MomentPins pins;
    for (uint64_t process = 1; process <= pins_max + 1; ++process)
        pins.pin(static_cast<pid_t>(process), nodes.moment("-" + std::to_string(process) + "m", process),
                 1'000 + process);
    CHECK(pins.find("-1m", 1, 3'000) == nullptr);
    CHECK(pins.find("-2m", 2, 3'000) != nullptr);
    CHECK(pins.find("-" + std::to_string(pins_max + 1) + "m", pins_max + 1, 3'000) != nullptr);
}

TEST_CASE("moment pins: a thread is told apart from its process") {
    CHECK(process_of(::getpid()) == ::getpid());
    CHECK(process_of(-1) == -1);
}

}  // namespace
}  // namespace holdfast::rewind
