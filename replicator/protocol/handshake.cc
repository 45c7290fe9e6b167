#include "replicator/protocol/handshake.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::replicator {

namespace {

constexpr HandshakeCase cases[] = {
    {"other volume", "other_volume", "any", "any", Outcome::refuse,
     "the replica holds another volume; pair the volume with a directory of its own"},
    {"other segments", "other_segments", "any", "any", Outcome::refuse,
     "the replica's journal is cut into segments of another size than the source's, so addresses mean different things on the two; it must be set up anew"},
    {"unsound", "unsound", "any", "any", Outcome::repair, "the replica's image is no moment of its source's, because a repair was broken off or asked for: what differs is repaired by comparison"},
    {"empty", "empty", "any", "any", Outcome::repair, "the replica is empty: it is filled by comparison, from the source's files"},
    {"same", "same_volume", "same", "any", Outcome::resume, "both end at the same position"},
    {"behind", "same_volume", "behind", "any", Outcome::resume, "the replica continues where it ended"},
    {"ahead", "same_volume", "ahead", "yes", Outcome::rewind,
     "the replica has records that the source no longer has; it keeps them aside and goes back to the source's end"},
    {"ahead, too far", "same_volume", "ahead", "no", Outcome::repair,
     "the replica has records that the source no longer has, and its history does not reach back to the source's end: what differs is repaired by comparison"},
    {"forked", "same_volume", "forked", "yes", Outcome::rewind,
     "the two histories differ from a shared position on; the replica keeps its own part aside and goes back to it"},
    {"forked beyond history", "same_volume", "forked", "no", Outcome::repair,
     "the two histories differ, and the replica's does not reach back to the shared position: what differs is repaired by comparison"},
    {"nothing shared is kept", "same_volume", "unknown", "any", Outcome::repair,
     "no position is left that both hosts still keep: what differs is repaired by comparison"},
};

bool fits(std::string_view column, std::string_view value) {
    return column == "any" || column == value;
}

}  // namespace

std::span<const HandshakeCase> handshake_cases() {
    return cases;
}

const char* to_string(Meeting meeting) {
    switch (meeting) {
        case Meeting::same_volume: return "same_volume";
        case Meeting::other_volume: return "other_volume";
        case Meeting::other_segments: return "other_segments";
        case Meeting::unsound: return "unsound";
        case Meeting::empty: return "empty";
    }
    return "unknown";
}

const char* to_string(Relation relation) {
    switch (relation) {
        case Relation::same: return "same";
        case Relation::behind: return "behind";
        case Relation::ahead: return "ahead";
        case Relation::forked: return "forked";
        case Relation::unknown: return "unknown";
    }
    return "unknown";
}

Meeting meet(const Hello& source, const Hello& replica) {
    if (source.volume != replica.volume) return Meeting::other_volume;
    if (source.segment_bytes != replica.segment_bytes) return Meeting::other_segments;
    if (replica.is_unsound) return Meeting::unsound;
    return replica.is_empty ? Meeting::empty : Meeting::same_volume;
}

Relation relate(const Hello& source, const Hello& replica, const std::optional<Position>& shared) {
    if (!shared) return Relation::unknown;
    const bool has_source_end = *shared == source.end, has_replica_end = *shared == replica.end;
    if (has_source_end && has_replica_end) return Relation::same;
    if (has_replica_end) return Relation::behind;
    return has_source_end ? Relation::ahead : Relation::forked;
}

HandshakeDecision decide(const Hello& source, const Hello& replica, const std::optional<Position>& shared) {
    const Meeting meeting = meet(source, replica);
    const Relation relation = relate(source, replica, shared);
    const bool is_in_reach = shared && shared->lsn >= replica.window_begin;
    for (const HandshakeCase& row : cases) {
        if (!fits(row.meeting, to_string(meeting)) || !fits(row.relation, to_string(relation)) || !fits(row.reach, is_in_reach ? "yes" : "no")) continue;
        const bool has_place = row.outcome == Outcome::resume || row.outcome == Outcome::rewind;
        return {row.outcome, has_place ? shared->lsn : 0, row.sentence, row.name};
    }
    HF_CHECK(false);  // a test shows that the rows cover everything
    return {};
}

}  // namespace holdfast::replicator
