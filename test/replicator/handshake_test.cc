#include "replicator/protocol/handshake.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

Position at(uint64_t lsn, uint8_t branch = 0) {
    Position position{lsn, {}};
    position.chain[0] = branch;
    return position;
}

Hello greeting(Role role, Position end, Lsn window_begin = 0) {
    Hello hello;
    hello.role = role;
    hello.volume = {{7}};
    hello.segment_bytes = 2 << 20;
    hello.end = end;
    hello.window_begin = window_begin;
    return hello;
}

const Hello source = greeting(Role::source, at(1000));

}  // namespace

TEST_CASE("handshake: both end at the same position, the stream goes on there") {
    const auto decision = decide(source, greeting(Role::replica, at(1000)), at(1000));
    CHECK(decision.name == "same");
    CHECK(decision.outcome == Outcome::resume);
    CHECK(decision.lsn == 1000);
}

TEST_CASE("handshake: a replica that is behind continues at its own end") {
    const auto decision = decide(source, greeting(Role::replica, at(600)), at(600));
    CHECK(decision.name == "behind");
    CHECK(decision.outcome == Outcome::resume);
    CHECK(decision.lsn == 600);
}

TEST_CASE("handshake: a replica that is ahead goes back to the source's end") {
    const auto decision = decide(source, greeting(Role::replica, at(1400)), at(1000));
    CHECK(decision.name == "ahead");
    CHECK(decision.outcome == Outcome::rewind);
    CHECK(decision.lsn == 1000);
}

TEST_CASE("handshake: a replica that is ahead and whose history begins too late is repaired") {
    CHECK(decide(source, greeting(Role::replica, at(1400), 1001), at(1000)).name == "ahead, too far");
    CHECK(decide(source, greeting(Role::replica, at(1400), 1000), at(1000)).name == "ahead");
}

TEST_CASE("handshake: forked histories go back to what they share") {
    const auto decision = decide(source, greeting(Role::replica, at(1000, 1)), at(400));
    CHECK(decision.name == "forked");
    CHECK(decision.outcome == Outcome::rewind);
    CHECK(decision.lsn == 400);
}

TEST_CASE("handshake: forked before the replica's history begins, what differs is repaired") {
    const auto decision = decide(source, greeting(Role::replica, at(1000, 1), 500), at(400));
    CHECK(decision.name == "forked beyond history");
    CHECK(decision.outcome == Outcome::repair);
}

TEST_CASE("handshake: without a shared position what differs is repaired, never copied whole") {
    const auto decision = decide(source, greeting(Role::replica, at(1000, 1)), std::nullopt);
    CHECK(decision.name == "nothing shared is kept");
    CHECK(decision.outcome == Outcome::repair);
}

TEST_CASE("handshake: a repair that was broken off is made again, wherever the two end") {
    Hello replica = greeting(Role::replica, at(1000));
    replica.is_unsound = true;
    CHECK(decide(source, replica, at(1000)).name == "unsound");
    replica.is_empty = true;
    CHECK(decide(source, replica, at(0)).name == "unsound");
    CHECK(decide(source, replica, at(0)).outcome == Outcome::repair);
    replica.volume = {{8}};
    CHECK(decide(source, replica, at(0)).outcome == Outcome::refuse);
}

TEST_CASE("handshake: an empty replica is filled by comparison, also where the journal is kept from its first byte") {
    Hello replica = greeting(Role::replica, at(0));
    replica.is_empty = true;
    for (const auto& shared : {std::optional<Position>(), std::optional(at(0))}) {
        CHECK(decide(source, replica, shared).name == "empty");
        CHECK(decide(source, replica, shared).outcome == Outcome::repair);
    }
}

TEST_CASE("handshake: another volume, or one cut differently, is refused whatever the addresses say") {
    Hello other = greeting(Role::replica, at(1000));
    other.volume = {{8}};
    CHECK(decide(source, other, at(1000)).name == "other volume");
    CHECK(decide(source, other, at(1000)).outcome == Outcome::refuse);
    Hello cut = greeting(Role::replica, at(1000));
    cut.segment_bytes *= 2;
    CHECK(decide(source, cut, at(1000)).name == "other segments");
    CHECK(decide(source, cut, at(1000)).outcome == Outcome::refuse);
}

TEST_CASE("handshake: every combination belongs to exactly one row") {
    for (const Meeting meeting : {Meeting::same_volume, Meeting::other_volume, Meeting::other_segments, Meeting::unsound, Meeting::empty}) {
        for (const Relation relation : {Relation::same, Relation::behind, Relation::ahead, Relation::forked, Relation::unknown}) {
            for (const char* reach : {"yes", "no"}) {
                int rows = 0;
                for (const HandshakeCase& row : handshake_cases()) {
                    const auto fits = [](std::string_view column, std::string_view value) { return column == "any" || column == value; };
                    rows += fits(row.meeting, to_string(meeting)) && fits(row.relation, to_string(relation)) && fits(row.reach, reach);
                }
                INFO(to_string(meeting) << ", " << to_string(relation) << ", " << reach);
                CHECK(rows == 1);
            }
        }
    }
}

TEST_CASE("handshake: the page has the rows of the table") {
    std::ifstream file(std::filesystem::path(HOLDFAST_SOURCE_DIR) / "docs/replication_protocol.md");
    REQUIRE(file);
    std::stringstream page;
    page << file.rdbuf();
    for (const HandshakeCase& row : handshake_cases()) {
        const std::string line = std::string("| ") + row.name + " | " + row.meeting + " | " + row.relation + " | " + row.reach + " | " + to_string(row.outcome) + " |";
        INFO(line);
        CHECK(page.str().find(line) != std::string::npos);
    }
}
