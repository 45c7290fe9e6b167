// What both ends of a session share: the greeting's rules, heartbeats, silence, and how a session ends.
// Thread rule: one thread.
#pragma once

#include <optional>
#include <string>

#include "replicator/protocol/actions.h"

namespace holdfast::replicator {

inline constexpr uint64_t heartbeat_interval_ns = 1'000'000'000;
// How often a session wants on_tick().
inline constexpr uint64_t session_tick_ns = 250'000'000;
// Nothing heard for so long: the connection is taken for dead and made anew.
inline constexpr uint64_t silence_ns_max = 10'000'000'000;
// Times that a replica may be sent back within one session. Twice would mean that it did not go where it was sent.
inline constexpr int rewinds_max = 3;
// Times that a replica may be repaired within one session. After one the two share where its journal begins, unless the source forgot that
// meanwhile.
inline constexpr int repairs_max = 2;
// Questions of one greeting: halving 2^64 addresses takes 64, for each time that a replica greets.
inline constexpr int probes_max = 70 * (rewinds_max + repairs_max + 1);

// Since which version of the protocol stores are compared within the stream.
inline constexpr uint16_t comparing_version = 2;
// Since which a session may have further connections.
inline constexpr uint16_t side_streams_version = 3;

class Dialogue {
public:
    explicit Dialogue(uint64_t now_ns) : heard_ns_(now_ns), sent_ns_(now_ns) {}

    void send(Message message, uint64_t now_ns, Actions& actions);
    // Says goodbye and closes. Nothing is sent or done after that.
    void end(Reason reason, std::string sentence, uint64_t now_ns, Actions& actions);
    // Closes without a word: the peer has said its goodbye, or will not hear ours.
    void drop(Reason reason, std::string sentence, Actions& actions);
    bool is_over() const { return is_over_; }

    void heard(uint64_t now_ns) { heard_ns_ = now_ns; }
    // Heartbeat and silence.
    void tick(uint64_t now_ns, Lsn published, Actions& actions);

private:
    uint64_t heard_ns_;
    uint64_t sent_ns_;
    bool is_over_ = false;
};

// Why a session with this greeting cannot go on: a version without anything in common, or the wrong role. Nothing: it can.
std::optional<Goodbye> objection_to(const Hello& peer, Role expected);

}  // namespace holdfast::replicator
