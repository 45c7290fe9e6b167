// What happens to the engine that a person may have to know: events, each with a code that scripts may rely on (docs/events.md).
//
// The last events_max are kept in memory and are gone with the engine; each is also a line of its log, and is told to whoever listens.
//
// Thread rule: EventLog on the loop's thread, the rest is plain values. Ownership: the clock outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"

namespace holdfast::replicator {

inline constexpr size_t events_max = 1000;

enum class Severity : uint8_t { info, warning, error };
const char* to_string(Severity severity);
std::optional<Severity> parse_severity(std::string_view text);

// The number in the code: HF-E-101. Never given another meaning.
enum class EventCode : uint16_t {
    replica_served = 101,
    replica_lost = 102,
    replica_refused = 103,
    replica_superseded = 104,
    replica_compared = 105,
    replica_made_equal = 106,
    repair_broken_off = 107,
    journal_filling = 111,
    journal_kept_for_nobody = 112,
    replica_rests = 115,
    replica_found_different = 116,
    volume_alone = 121,
    volume_accompanied = 122,
    history_paused = 123,
    history_goes_on = 124,
    history_needs_mount = 125,
    source_connected = 201,
    source_lost = 202,
    replica_unusable = 203,
    store_died = 204,
    replica_goes_back = 205,
    repair_begins = 206,
    repair_done = 207,
    repair_failed = 208,
    source_rests = 215,
    replica_differs = 216,
    standby_stands_still = 217,
    standby_follows = 218,
    paired = 301,
    pairing_failed = 302,
    peer_revoked = 303,
    stranger_refused = 304,
    key_rotation_begins = 305,
    key_adopted = 306,
    peer_without_key = 307,
    key_not_adopted = 308,
    peer_key_kept = 309,
    peer_key_retired = 310,
    peer_key_not_kept = 311,
    control_refused = 312,
    control_used = 313,
    engine_started = 401,
    engine_ends = 402,
    configuration_taken = 403,
    configuration_refused = 404,
    maintenance_prepared = 405,
    maintenance_done = 406,
    maintenance_not_prepared = 407,
};

struct EventKind {
    EventCode code;
    Severity severity;
    const char* pattern;  // a sentence with {volume}, {peer}, {store}, {why}
};
// All of them, in the order of their numbers.
std::span<const EventKind> event_kinds();
std::string to_string(EventCode code);  // "HF-E-101"

// What an event is about; the pattern of its kind says which of them it has.
struct EventAbout {
    std::string volume = {}, peer = {}, store = {}, why = {};
};

struct Event {
    uint64_t number;  // from 1, since the engine's start
    uint64_t time_ns;
    EventCode code;
    Severity severity;
    std::string sentence;
    EventAbout about;
};
Json to_json(const Event& event);

class EventLog {
public:
    explicit EventLog(const Clock& clock) : clock_(clock), began_ns_(clock.realtime_ns()) {}

    void raise(EventCode code, EventAbout about = {});
    // Those behind NUMBER that are still kept, oldest first: {"events", "last", "began_ns"}.
    Json after(uint64_t number) const;

    // LISTENER is told of every event from now on, when it is raised; it must not raise one. True: it has written the line itself.
    using Listener = std::function<bool(const Event& event)>;
    void set_listener(Listener listener) { listener_ = std::move(listener); }

private:
    const Clock& clock_;
    const uint64_t began_ns_;
    uint64_t last_ = 0;
    std::deque<Event> kept_;
    Listener listener_;
};

}  // namespace holdfast::replicator
