// A connection that somebody made to this host, from the TLS handshake until it is known what it is for: a link's first message greets
// with the volume that it brings, and then it belongs to that replica.
//
// Bounded work for strangers: guests_max at once, guests_per_host_max from one address, guest_ns_max until the greeting; beyond that
// they are closed. Nothing of theirs is decoded before TLS has proved a key that this host knows.
//
// Thread rule: the loop's thread. Ownership: what the callbacks lead to outlives it.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "replicator/engine/address.h"
#include "replicator/engine/connection.h"
#include "replicator/engine/host.h"

namespace holdfast::replicator {

inline constexpr size_t guests_max = 64;
inline constexpr size_t guests_per_host_max = 8;
inline constexpr uint64_t guest_ns_max = 15'000'000'000;
// Strangers may come as often as they like; they are told of once in so long.
inline constexpr uint64_t stranger_event_interval_ns = 60'000'000'000;

class Guests {
public:
    struct Callbacks {
        // An authenticated peer has greeted. Errors are told to it; busy: this host is in maintenance, and nobody else is told.
        std::function<Status(const Peer& peer, std::shared_ptr<Connection> connection, Received& hello, FrameReader& frames)> greeted;
        // An authenticated peer has a further connection for a session that is under way.
        std::function<Status(const Peer& peer, std::shared_ptr<Connection> connection, const Join& join, FrameReader& frames)> joined;
        // Somebody wants to be paired, which is only possible while is_pairing(). Sets other events or closes.
        std::function<bool()> is_pairing;
        std::function<void(std::shared_ptr<Connection> connection)> pairing;
        // An authenticated peer wants to speak to the API.
        std::function<void(std::shared_ptr<Connection> connection)> control;
    };

    Guests(Host& host, Callbacks callbacks, uint64_t guest_ns = guest_ns_max);
    ~Guests();

    // Accepts on SOCKET from now on. OUTLIVES_US: another process goes on with it afterwards.
    void welcome(UniqueFd socket, bool outlives_us = false);
    uint64_t refused() const { return refused_; }

private:
    struct Guest;

    void accept();
    void enter(UniqueFd socket);
    void established(Guest& guest);
    void take(Guest& guest, ByteSpan bytes);
    Status hand_on(const Peer& peer, std::shared_ptr<Connection> connection, Received& first, FrameReader& frames);
    void leave(uint64_t id);
    void refuse(Guest& guest, const Error& why);
    void tell_refused(const std::string& from, const std::string& why);

    Host& host_;
    const Callbacks callbacks_;
    const uint64_t guest_ns_;
    UniqueFd socket_;
    bool outlives_us_ = false;
    std::map<uint64_t, std::unique_ptr<Guest>> guests_;
    std::map<std::string, size_t> from_;
    uint64_t next_id_ = 1, refused_ = 0;
    uint64_t tell_due_ns_ = 0, told_ = 0;  // how many of refused_ were told
    const std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace holdfast::replicator
