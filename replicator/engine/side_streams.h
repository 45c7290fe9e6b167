// The further connections of a source's session, on which long frames travel (protocol/ordered_frames.h).
//
// A TCP connection that loses packets goes no faster than its round trip lets it recover from each loss, so over a long link several
// together carry more than one. They are dialed while the session is on, one after the other, because a host bears few strangers of one address at once
// (guest.h); one that does not come about is tried again after
// side_retry_ns, and one that is lost after it had joined takes the session with it, because frames may have been lost in it: the next session
// goes on where the replica is.
//
// Thread rule: the loop's thread. Ownership: the host outlives it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "replicator/engine/address.h"
#include "replicator/engine/connection.h"
#include "replicator/engine/host.h"
#include "replicator/protocol/ordered_frames.h"

namespace holdfast::replicator {

struct EdgeTotals;

inline constexpr uint64_t side_retry_ns = 5'000'000'000;
// One that hangs while the first connection lives is told by nothing else.
inline constexpr uint64_t side_unacknowledged_ns_max = 60'000'000'000;

class SideStreams {
public:
    struct Session {
        std::string peer;
        SocketAddress address;
        uint64_t term = 0;
        bool is_link_long = false;
        SessionKey key = random_key();
        static SessionKey random_key();
    };
    using Lost = std::function<void(const Error&)>;

    // LOST may be called for each that had joined.
    SideStreams(Host& host, Session session, Lost lost) : host_(host), session_(std::move(session)), lost_(std::move(lost)) {}
    ~SideStreams();
    SideStreams(const SideStreams&) = delete;
    SideStreams& operator=(const SideStreams&) = delete;

    const SessionKey& key() const { return session_.key; }
    // As many shall be there. Asked from time to time: it dials what is missing. Fewer than before changes nothing.
    void want(uint32_t count);
    // How many have joined.
    uint32_t joined() const;
    // The number of the one that has least to send; nothing: none has joined.
    std::optional<uint32_t> idlest() const;
    void send(uint32_t number, ByteSpan frame) { sides_[number].connection->send(frame); }

    size_t waiting_bytes() const;
    size_t backlog_bytes() const;
    void add_to(EdgeTotals& totals) const;

private:
    struct Side {
        std::shared_ptr<Connection> connection;
        FrameReader frames;
        bool is_dialing = false, is_joined = false;
        uint64_t due_ns = 0;
    };

    void dial_next();
    void dial_side(uint32_t number);
    void dialed(uint32_t number, Result<UniqueFd> socket);
    void take(uint32_t number, ByteSpan bytes);
    void over(uint32_t number, const Error& why);

    Host& host_;
    const Session session_;
    const Lost lost_;
    uint32_t wanted_ = 0;
    std::array<Side, HF_SIDE_STREAMS_MAX + 1> sides_;  // by number; the first connection, 0, is not ours
    const std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace holdfast::replicator
