#include "rewind/moment.h"

#include <catch2/catch.hpp>

#include "base/text.h"

namespace holdfast::rewind {
namespace {

constexpr uint64_t second = 1'000'000'000;
const uint64_t noon = parse_iso8601_ns("2026-03-01T12:00:00Z").value();

// A record every second from noon on, each 100 bytes long, the first at LSN 1000; a gap from 1500 to 1700.
Timeline timeline_of(uint64_t seconds) {
    Timeline timeline;
    timeline.now_ns = noon + seconds * second;
    timeline.applied = 1000 + seconds * 100;
    timeline.window_begin = 1000;
    timeline.bookmarks = {{"before-upgrade", 1200, noon + 2 * second}, {"in-gap", 1600, noon + 6 * second}};
    timeline.lsn_at_time = [=](uint64_t time) -> Result<std::optional<Lsn>> {
        if (time < noon) return std::optional<Lsn>();
        return std::optional<Lsn>(std::min(timeline.applied, 1000 + (time - noon) / second * 100));
    };
    timeline.time_at_lsn = [](Lsn lsn) -> Result<std::optional<uint64_t>> {
        if (lsn < 1000) return std::optional<uint64_t>();
        return std::optional<uint64_t>(noon + (lsn - 1000) / 100 * second);
    };
    timeline.check_moment = [](Lsn lsn) -> Status {
        if (lsn < 1000) return Error{ErrorCode::not_found, "before the window"};
        if (lsn > 1500 && lsn < 1700) return Error{ErrorCode::gap, "inside a gap"};
        return ok();
    };
    return timeline;
}

TEST_CASE("moment: each way to write one is recognized, with and without @") {
    for (const std::string prefix : {"", "@"}) {
        CHECK(std::holds_alternative<NowMoment>(parse_moment(prefix + "now")));
        CHECK(std::get<LsnMoment>(parse_moment(prefix + "lsn:123")).lsn == 123);
        CHECK(std::get<LsnMoment>(parse_moment(prefix + "123")).lsn == 123);
        CHECK(std::get<AgeMoment>(parse_moment(prefix + "10m")).age_ns == 600 * second);
        CHECK(std::get<AgeMoment>(parse_moment(prefix + "-10m")).age_ns == 600 * second);
        CHECK(std::get<TimeMoment>(parse_moment(prefix + "2026-03-01T12:00:00Z")).time_ns == noon);
        CHECK(std::get<TimeMoment>(parse_moment(prefix + "2026-03-01T12:00:00.5Z")).time_ns == noon + second / 2);
        CHECK(std::get<NamedMoment>(parse_moment(prefix + "before-upgrade")).name == "before-upgrade");
    }
    CHECK(std::get<NamedMoment>(parse_moment("lsn:")).name == "lsn:");
    CHECK(std::get<NamedMoment>(parse_moment("lsn:99999999999999999999999")).name == "lsn:99999999999999999999999");
}

TEST_CASE("moment: only now and ages mean another moment later on") {
    CHECK(is_relative(parse_moment("now")));
    CHECK(is_relative(parse_moment("10m")));
    for (const char* text : {"lsn:5", "2026-03-01", "name"}) CHECK_FALSE(is_relative(parse_moment(text)));
}

TEST_CASE("moment: texts resolve to the moments of the timeline") {
    const Timeline timeline = timeline_of(60);
    CHECK(resolve_moment("now", timeline).value().lsn == 7000);
    CHECK(resolve_moment("lsn:1300", timeline).value().lsn == 1300);
    CHECK(resolve_moment("lsn:1300", timeline).value().time_ns == noon + 3 * second);
    CHECK(resolve_moment("10s", timeline).value().lsn == 6000);
    CHECK(resolve_moment("before-upgrade", timeline).value().lsn == 1200);
    const Moment at_time = resolve_moment("2026-03-01T12:00:20.5Z", timeline).value();
    CHECK(at_time.lsn == 3000);
    CHECK(at_time.time_ns == noon + 20 * second + second / 2);
}

TEST_CASE("moment: impossible ones are refused with a sentence that helps") {
    const Timeline timeline = timeline_of(60);
    const auto error = [&](const char* text) { return resolve_moment(text, timeline).error(); };
    CHECK(error("lsn:99999").code == ErrorCode::invalid_argument);
    CHECK(error("2026-03-01T13:00:00Z").code == ErrorCode::invalid_argument);
    CHECK(error("2026-02-01T00:00:00Z").code == ErrorCode::not_found);
    CHECK(error("2026-02-01T00:00:00Z").message.find("2026-03-01T12:00:00.000Z") != std::string::npos);
    CHECK(error("2h").code == ErrorCode::not_found);
    CHECK(error("100000000d").code != ErrorCode::gap);
    CHECK(error("lsn:10").code == ErrorCode::not_found);
    CHECK(error("lsn:1600").code == ErrorCode::gap);
    CHECK(error("in-gap").code == ErrorCode::gap);
    CHECK(error("in-gap").message.find("in-gap") != std::string::npos);
    CHECK(error("before-upgrde").message.find("before-upgrade") != std::string::npos);
    CHECK(error("something else").code == ErrorCode::not_found);
    CHECK(error("").code == ErrorCode::invalid_argument);
    CHECK(error("@").code == ErrorCode::invalid_argument);
}

TEST_CASE("moment: an error of the store is passed on") {
    Timeline timeline = timeline_of(60);
    timeline.lsn_at_time = [](uint64_t) -> Result<std::optional<Lsn>> { return Error{ErrorCode::corrupt, "damaged"}; };
    CHECK(resolve_moment("10s", timeline).error().code == ErrorCode::corrupt);
}

TEST_CASE("moment: the nearest names come first") {
    const std::vector<std::string> names{"release-1", "release-10", "nightly", "relaese-2"};
    CHECK(nearest_names("release-1", names, 2) == std::vector<std::string>{"release-1", "release-10"});
    CHECK(nearest_names("nigtly", names, 3) == std::vector<std::string>{"nightly"});
    CHECK(nearest_names("zzzzzzzz", names, 3).empty());
    // A beginning is enough.
    CHECK(nearest_names("night", names, 1) == std::vector<std::string>{"nightly"});
}

}  // namespace
}  // namespace holdfast::rewind
