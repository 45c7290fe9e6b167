// What every part of the engine knows of its host: the loop, the clock, who we are, whom we know, and where it says what happened.
// Thread rule: the loop's thread.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "replicator/engine/alone_news.h"
#include "replicator/engine/events.h"
#include "replicator/engine/gap_news.h"
#include "replicator/engine/loop.h"
#include "replicator/protocol/frame.h"
#include "replicator/trust/identity.h"
#include "replicator/trust/peers.h"

namespace holdfast::replicator {

class KeyRotation;

struct Host {
    Loop& loop;
    const Clock& clock;
    std::string name;
    Identity identity;
    Peers peers;
    std::shared_ptr<EventLog> events = std::make_shared<EventLog>(clock);
    std::shared_ptr<AloneNews> alone_news = std::make_shared<AloneNews>(*events);
    std::shared_ptr<GapNews> gap_news = std::make_shared<GapNews>(*events);
    KeyRotation* keys = nullptr;     // the engine's; there before any edge
    bool is_in_maintenance = false;  // its edges are at rest (maintenance.h)

    // What peers are told then.
    std::string maintenance_sentence() const { return "host " + name + " is in maintenance"; }

    bool is_key_of(const Fingerprint& key, std::string_view peer) const {
        const Peer* known = peers.find(key);
        return known != nullptr && known->name == peer;
    }
    std::vector<std::byte> encode(const Message& message, uint64_t term) const {
        return encode_frame(message, {term, clock.realtime_ns(), 1});
    }
};

}  // namespace holdfast::replicator
