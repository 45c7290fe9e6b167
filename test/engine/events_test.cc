#include "replicator/engine/events.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

// The rows of the page: "| HF-E-101 | info | sentence |".
std::set<std::string> documented() {
    std::ifstream page(std::filesystem::path(HOLDFAST_SOURCE_DIR) / "docs/events.md");
    REQUIRE(page.good());
    std::set<std::string> rows;
    for (std::string line; std::getline(page, line);)
        if (line.starts_with("| `HF-E-")) rows.insert(line.substr(0, line.rfind(" | ")));
    return rows;
}

}  // namespace

TEST_CASE("events: the page and the code agree about every code, its severity and its sentence") {
    std::set<std::string> there;
    for (const EventKind& kind : event_kinds()) there.insert("| `" + to_string(kind.code) + "` | " + to_string(kind.severity) + " | " + kind.pattern);
    CHECK(documented() == there);
    CHECK(there.size() == event_kinds().size());
}

TEST_CASE("events: codes rise and are told once, patterns are sentences with words that there are") {
    int last = 100;
    for (const EventKind& kind : event_kinds()) {
        INFO(to_string(kind.code));
        CHECK(static_cast<int>(kind.code) > last);
        last = static_cast<int>(kind.code);
        const std::string rest = std::regex_replace(std::string(kind.pattern), std::regex("\\{(volume|peer|store|why)\\}"), "");
        CHECK(rest.find_first_of("{}") == rest.npos);
        CHECK(rest.ends_with("."));
    }
}

TEST_CASE("events: what is raised can be read, with its sentence and what it is about") {
    EventLog log(system_clock());
    log.raise(EventCode::replica_lost, {.volume = "/srv/a \"b\"\n{peer}", .peer = "beta", .why = "it said {volume}"});
    const Json all = log.after(0);
    CHECK(all["last"] == 1);
    REQUIRE(all["events"].size() == 1);
    const Json& event = all["events"][0];
    CHECK(event["number"] == 1);
    CHECK(event["code"] == "HF-E-102");
    CHECK(event["severity"] == "warning");
    // What is filled in is not a pattern, and forges no line.
    CHECK(event["sentence"] == "Volume \"/srv/a \\\"b\\\"\\x0a{peer}\" is not being sent to \"beta\": it said {volume}. It is tried again.");
    CHECK(event["volume"] == "/srv/a \"b\"\n{peer}");
    CHECK(event["peer"] == "beta");
    CHECK_FALSE(event.contains("store"));
    CHECK(event["time_ns"].get<uint64_t>() >= all["began_ns"].get<uint64_t>());
}

TEST_CASE("events: so many are kept and the oldest go, and a reader goes on where it was") {
    EventLog log(system_clock());
    for (size_t i = 0; i < events_max + 5; ++i) log.raise(EventCode::configuration_taken);
    const Json all = log.after(0);
    REQUIRE(all["events"].size() == events_max);
    CHECK(all["events"][0]["number"] == 6);
    CHECK(all["last"] == events_max + 5);
    CHECK(log.after(events_max + 3)["events"].size() == 2);
    CHECK(log.after(events_max + 5)["events"].empty());
    CHECK(log.after(UINT64_MAX)["events"].empty());
}

TEST_CASE("events: whoever listens is told of each once") {
    EventLog log(system_clock());
    log.raise(EventCode::paired);
    std::vector<uint64_t> heard;
    log.set_listener([&](const Event& event) { return heard.push_back(event.number), false; });
    log.raise(EventCode::paired);
    log.raise(EventCode::peer_revoked);
    CHECK(heard == std::vector<uint64_t>{2, 3});
}

TEST_CASE("events: a severity has a name and no other") {
    for (const Severity severity : {Severity::info, Severity::warning, Severity::error}) CHECK(parse_severity(to_string(severity)) == severity);
    for (const char* wrong : {"", "Info", "warn", "errors", "unknown"}) CHECK_FALSE(parse_severity(wrong));
}
