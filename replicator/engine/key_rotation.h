// A new key for this host while its connections go on, and what peers say of theirs.
//
//     settled ──begin()──> telling ──every peer keeps it, or the time is up──> settled, under the new key
//
// While it is telling, this host shows the old key still. Every connection to a peer, new or old, is told the fingerprint of the next one; the peer
// keeps it beside the one that the connection showed, durably, and says so. Both are accepted from then on. When the last peer has said so, or
// the time that was given is up, the next key becomes the host's own and connections are made anew, which is all that a stream notices. A
// peer that sees the new key for the first time drops the old one. A peer that was away all that time must be paired again.
//
// Only who holds a host's key can name its next one, and for nobody else: a key that another peer has is refused.
//
// What is durable when: identity-next.pem and the end of its time (the file `rotation`) before anybody is told; a peer's key before it is said to be
// kept. Which peers keep it is asked anew by an engine that was started anew. A crash at any point leaves a key that peers accept.
//
// Limits: one rotation at a time; two keys of a peer, and a third takes the place of the one that was not shown. A peer that names one key after the
// other is listened to once in next_key_interval_ns; an honest one tells again.
// Thread rule: the loop's thread; files are small and written there. Ownership: the host outlives it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/json.h"
#include "replicator/engine/connection.h"
#include "replicator/engine/host.h"

namespace holdfast::replicator {

inline constexpr uint64_t rotation_ns_default = 7ULL * 24 * 3600 * 1'000'000'000;
// A peer that could not keep the key is told again.
inline constexpr uint64_t rotation_retell_ns = 5'000'000'000;
inline constexpr uint64_t next_key_interval_ns = 1'000'000'000;
inline constexpr uint64_t rotation_tick_ns = 500'000'000;

class KeyRotation {
public:
    struct Callbacks {
        std::function<void()> tell;       // greet() for every connection that is up
        std::function<void()> reconnect;  // this host has another key now
        std::function<void()> retrust;    // a peer has one key less: connections that showed it end
    };
    // Goes on with a rotation that an earlier engine began in DIRECTORY. Errors: those of load_next().
    static Result<std::unique_ptr<KeyRotation>> open(Host& host, const std::string& directory, Callbacks callbacks);
    ~KeyRotation();
    KeyRotation(const KeyRotation&) = delete;
    KeyRotation& operator=(const KeyRotation&) = delete;

    // Peers have WITHIN_NS to learn the next key. Errors: exists (one is under way), io.
    Status begin(uint64_t within_ns);
    // CONNECTION to PEER is up: says our next key on it when there is one, and looks at which of its own PEER showed.
    void greet(Connection& connection, std::string_view peer, uint64_t term);
    // False: MESSAGE is not about keys. REQUIRES: CONNECTION is to PEER, and up.
    bool take(Connection& connection, std::string_view peer, const Message& message, uint64_t term);

    // The same without a connection: what to say to PEER, who showed SHOWN. Nothing: there is nothing to say, or MESSAGE is not about keys.
    std::optional<Message> greeting(std::string_view peer, const Fingerprint& shown);
    std::optional<Message> answer(std::string_view peer, const Fingerprint& shown, const Message& message);

    // `next_key`, `until_ns`, `waiting_for` (names of peers); nothing of them when no rotation is under way.
    void show(Json& json) const;

private:
    KeyRotation(Host& host, std::unique_ptr<Disk> disk, Callbacks callbacks) : host_(host), disk_(std::move(disk)), callbacks_(std::move(callbacks)) {}

    Status remember_end();
    void tick();
    void adopt();
    std::vector<std::string> waiting_for() const;
    bool may_name_another(std::string_view peer);
    Status keep(std::string_view peer, const Fingerprint& shown, const Fingerprint& next);
    void retire(std::string_view peer, const Fingerprint& shown);

    Host& host_;
    const std::unique_ptr<Disk> disk_;
    const Callbacks callbacks_;
    std::optional<Identity> next_;
    uint64_t until_ns_ = 0;  // realtime
    uint64_t retell_ns_ = 0;
    std::set<std::string, std::less<>> keeping_;  // peers that have said that they keep it
    std::map<std::string, uint64_t, std::less<>> listened_ns_;  // when a peer named a key that was new; of the monotonic clock
    std::string failure_;
    Loop::TimerId tick_ = 0;
};

}  // namespace holdfast::replicator
