// What two engines say to each other, as values. replicator/protocol/frame.h turns them into bytes and back.
// Thread rule: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "journal/ids.h"
#include "replicator/protocol/wire_format.h"

namespace holdfast::replicator {

using journal::Lsn;

// A place in a volume's history: an address and the hash over everything before it. Two hosts that name the same position
// have the same history up to there.
struct Position {
    Lsn lsn = 0;
    std::array<uint8_t, 16> chain{};
    auto operator<=>(const Position&) const = default;
};

enum class Role : uint32_t { source = HF_ROLE_SOURCE, replica = HF_ROLE_REPLICA };

struct Hello {
    uint16_t version_oldest = HF_WIRE_VERSION_OLDEST;
    uint16_t version = HF_WIRE_VERSION;
    Role role = Role::source;
    journal::VolumeId volume;
    uint64_t segment_bytes = 0;
    uint32_t timeline = 1;
    bool is_empty = false;  // replica: it has neither journal nor history
    bool is_unsound = false;  // replica: a repair of its image is under way, so the image is no moment of the source's
    Lsn oldest = 0;
    Lsn window_begin = 0;
    Position end;
    bool operator==(const Hello&) const = default;
};

// How a session goes on after the greeting. The numbers travel.
enum class Outcome : uint32_t {
    resume = 1,  // the stream continues at the replica's end
    rewind = 2,  // the replica goes back to the address, keeps what it discards, and greets again
    repair = 3,  // history is not shared, or no longer kept, from some point on: what differs is compared and repaired
    refuse = 4,  // these two have nothing to say to each other; a person must decide
};

// Why a session ends. The numbers travel.
enum class Reason : uint32_t {
    shutdown = 1,     // in order: the engine stops
    protocol = 2,     // the peer broke a rule of the dialogue, or its bytes are damaged
    version = 3,      // no version in common
    refused = 4,      // the verdict
    stale_term = 5,   // the peer writes under a term that is over
    silence = 6,      // nothing was heard for too long
    storage = 7,      // a disk on this side
    unsupported = 8,  // the outcome asks for something that this version cannot do yet
    maintenance = 9,  // the host is about to be rebooted, or just was; it comes back
    rest = 10,        // source: it sends nothing for now, because it was told to
};

struct Probe { Lsn at = 0; bool operator==(const Probe&) const = default; };
struct PositionIs { Lsn asked = 0; bool is_known = false; Position position; bool operator==(const PositionIs&) const = default; };
struct Verdict { Outcome outcome = Outcome::refuse; Lsn lsn = 0; std::string sentence; bool operator==(const Verdict&) const = default; };
struct SegmentBegins { std::vector<std::byte> header; bool operator==(const SegmentBegins&) const = default; };
struct Records { Lsn first = 0, end = 0; std::vector<std::byte> bytes; bool operator==(const Records&) const = default; };
struct Ack { Lsn received = 0, durable = 0, applied = 0; bool operator==(const Ack&) const = default; };
struct Heartbeat { Lsn published = 0; bool operator==(const Heartbeat&) const = default; };
// The replica is made equal to the source's tree at AT, and its journal goes on at BEGIN, the beginning of the segment that holds it.
struct RepairBegins { Lsn at = 0; uint64_t time_ns = 0; Position begin; bool operator==(const RepairBegins&) const = default; };
// What the store of one host says to that of the other (rewind/sync); nobody between looks into it. At most HF_FRAME_SYNC_BYTES_MAX.
struct SyncBytes { std::vector<std::byte> bytes; bool operator==(const SyncBytes&) const = default; };
// Replica: its store is compared with the source's at AT. Source, zero: it should be, wholly.
struct Compare { Lsn at = 0; bool operator==(const Compare&) const = default; };
// What was found so far, since the comparison of all objects began.
struct Compared {
    Lsn at = 0;             // the moment of the last part
    uint64_t time_ns = 0;   // when that was the replica's present, by its clock
    uint64_t began_ns = 0;  // the same of the first part
    uint64_t objects = 0, bytes = 0, differences = 0;
    bool is_whole = false;   // every object was compared
    bool was_asked = false;  // for, by a person; then all parts are of one moment
    bool has_failed = false;
    std::string text;  // what differs, a line for each, as far as it is listed; or why it failed. At most HF_FRAME_LIST_BYTES_MAX
    bool operator==(const Compared&) const = default;
};
struct Goodbye { Reason reason = Reason::shutdown; std::string sentence; bool operator==(const Goodbye&) const = default; };
// Of hosts, not of the volume: sessions never see them (feed.h).
struct NextKey { std::array<uint8_t, 32> key{}; bool operator==(const NextKey&) const = default; };
struct KeyKept { std::array<uint8_t, 32> key{}; bool operator==(const KeyKept&) const = default; };

// Of connections: a session may have further ones beside its first, on which nothing but long frames of the source travels (side_streams.h).
using SessionKey = std::array<uint8_t, 16>;
struct Streams { SessionKey session{}; bool operator==(const Streams&) const = default; };
struct Join { SessionKey session{}; uint32_t number = 0; bool operator==(const Join&) const = default; };
struct Joined { uint32_t number = 0; bool operator==(const Joined&) const = default; };
struct Elsewhere { uint32_t number = 0; bool operator==(const Elsewhere&) const = default; };

using Message = std::variant<Hello, Probe, PositionIs, Verdict, SegmentBegins, Records, Ack, Heartbeat, Goodbye, RepairBegins, SyncBytes, Compare, Compared, NextKey, KeyKept,
                             Streams, Join, Joined, Elsewhere>;

// A message with what its frame's header says about it.
struct Received {
    uint64_t term = 0;
    uint64_t sent_ns = 0;
    Message message;
};

const char* to_string(Outcome outcome);
const char* to_string(Reason reason);

}  // namespace holdfast::replicator
