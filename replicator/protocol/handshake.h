// The handshake table: two histories of one volume meet; how do they go on?
//
// The decision is a pure function of what is known about the two, one row for every combination; a test goes through all
// of them. "Copy everything" is no outcome: while any history is shared, the stream continues from there, and where none is
// left to compare, what differs is found by comparison and repaired.
//
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

// What the two greetings alone say.
enum class Meeting {
    same_volume,
    other_volume,
    other_segments,  // the same volume, cut into segments of another size: addresses mean different things
    unsound,         // the replica's image is no moment of the source's: a repair of it was broken off
    empty,           // the replica has neither journal nor history
};

// How the replica's end lies to the source's history.
enum class Relation {
    same,      // both end at the same position
    behind,    // the source knows the replica's end and has more
    ahead,     // the replica knows the source's end and has more: the source lost its tail, or was set back
    forked,    // the two share a beginning and then differ
    unknown,   // no position that both still keep is equal: forked too long ago, or the replica's end is no longer kept
};

struct HandshakeCase {
    const char* name;
    const char* meeting;   // as docs/replication_protocol.md writes them: "same_volume", "any"
    const char* relation;
    const char* reach;     // can the replica go back to the last shared position: "yes", "no", "any"
    Outcome outcome;
    const char* sentence;
};
std::span<const HandshakeCase> handshake_cases();

const char* to_string(Meeting meeting);
const char* to_string(Relation relation);

Meeting meet(const Hello& source, const Hello& replica);
// SHARED is the last position that both have, nothing when there is none.
Relation relate(const Hello& source, const Hello& replica, const std::optional<Position>& shared);

// The case of a replica whose image is no moment of the source's, although it may have everything that the source has.
inline constexpr std::string_view unsound_case = "unsound";

struct HandshakeDecision {
    Outcome outcome;
    Lsn lsn;  // resume: from here; rewind: back to here; otherwise zero
    std::string sentence;
    std::string_view name;
};
HandshakeDecision decide(const Hello& source, const Hello& replica, const std::optional<Position>& shared);

}  // namespace holdfast::replicator
