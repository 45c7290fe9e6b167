// What the engine and its edges say of themselves: for the API's status, and for the metrics. An edge is one replica of one volume,
// seen from either end.
//
// Thread rule: plain values and pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "journal/ids.h"
#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

class Connection;

// Since the engine's start.
struct EdgeTotals {
    uint64_t sessions = 0;      // connections that came to streaming
    uint64_t stream_bytes = 0;  // of records that were sent or taken, before they were packed
    uint64_t repair_bytes = 0;  // what stores said to each other while replicas were compared, before it was packed
    uint64_t wire_sent_bytes = 0, wire_received_bytes = 0;  // packed and encrypted

    // What went over CONNECTION until now; null: nothing.
    void add(const Connection* connection);
};

// What comparisons of a replica with its source have found, as either end knows it.
struct EqualityStatus {
    std::optional<Compared> current;  // of the round that is under way
    std::optional<Compared> whole;    // the last that went over everything, or the one that was asked for and came to nothing
    uint64_t asked = 0;               // how many of those that were asked for here have ended since the engine's start
    bool is_pending = false;          // one is asked for and has not ended

    // Errors: busy.
    Status ask();
    void note(const Compared& compared);
    // What was asked for comes to nothing.
    void give_up(const std::string& why);
};

struct EdgeStatus {
    const char* role = "";  // what this host is: "source" or "replica"
    std::string volume;     // as the configuration names it
    std::string peer;
    std::string store = {};  // a replica's
    const char* state = "";
    std::string why = {};        // the last failure, until it streams again
    std::string handshake = {};  // how the last greeting was decided

    // Addresses in the stream, as far as they are known here. What the other end said last stays when it is gone.
    std::optional<Lsn> published = {}, sent = {}, received = {}, durable = {}, applied = {};
    // How long the oldest of what is not applied has been waiting. Told by a source alone, once its replica has caught up with what there
    // was at the engine's start: of what was written before nobody knows when.
    std::optional<uint64_t> lag_ns = {};

    // Of the volume, told by a source: what its fsyncs wait for, whether no replica keeps up or answers (1 or 0), how often that
    // began since the host started, and how many wait now.
    std::string durability = {};
    std::optional<uint64_t> alone = {}, times_alone = {}, waiting_fsyncs = {};

    // A replica's standby directory, as its store says: in a word, why it does not follow, and which moment it is.
    std::string standby = {}, standby_why = {};
    std::optional<Lsn> standby_position = {};

    EqualityStatus equality = {};
    // How hard a source packs what it sends (protocol/packing_level.h), and what that left of the last few batches, in thousandths.
    std::optional<uint64_t> packing_level = {}, packing_permille = {};

    // Over how many connections a session goes.
    std::optional<uint64_t> streams = {};

    EdgeTotals totals = {};

    // What the replica's image has and its standby directory not yet.
    std::optional<uint64_t> standby_behind_bytes() const {
        if (!standby_position || !applied) return std::nullopt;
        return *applied - std::min(*applied, *standby_position);
    }
    std::optional<uint64_t> behind_bytes() const {
        if (!published || !applied) return std::nullopt;
        return *published - std::min(*published, *applied);
    }
};

struct EngineStatus {
    std::string name, key, listen;
    uint64_t refused = 0;
    std::vector<EdgeStatus> edges = {};
};

// "2 of 120 objects differ, among them …"
std::string summary(const Compared& compared);

// What is not known is left out.
Json to_json(const EdgeStatus& edge);
Json to_json(const EngineStatus& engine);

}  // namespace holdfast::replicator
