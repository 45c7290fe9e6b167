// Connections of peers that want to speak to this engine's API (docs/engine.md, "From another host"): who may have one, and when it ends.
//
// TLS has proved a key of the list of peers before anything gets here. A peer without a right is answered 403 without a byte of its being
// parsed; for the others the HTTP server is given a socket with the peer's name, and asks for each request whether it may be made.
//
// Limits: control_connections_max at once, control_connections_per_peer_max of one peer, control_lifetime_ns each.
// Thread rule: the loop's thread. Ownership: the host outlives it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "replicator/engine/control_rights.h"
#include "replicator/engine/host.h"
#include "replicator/engine/tunnel.h"

namespace holdfast::replicator {

inline constexpr size_t control_connections_max = 16, control_connections_per_peer_max = 4;
// Longer than any answer takes (api_answer_ns_max), and no longer than that and the request.
inline constexpr uint64_t control_lifetime_ns = 150'000'000'000;
// Of one peer; each later one is counted and told with the next.
inline constexpr uint64_t control_event_interval_ns = 60'000'000'000;

class ControlGate {
public:
    // Gives a socket, and whom it is from, to whoever speaks HTTP.
    using Adopt = std::function<Status(UniqueFd socket, const std::string& peer)>;
    using RightOf = std::function<ControlRight(std::string_view peer)>;

    ControlGate(Host& host, RightOf right_of) : host_(host), right_of_(std::move(right_of)) {}
    ~ControlGate();

    void set_adopt(Adopt adopt) { adopt_ = std::move(adopt); }
    // Takes over CONNECTION. REQUIRES: it is established, its purpose is control.
    void enter(std::shared_ptr<Connection> connection);
    // Whether PEER may have this done; tells of what it may not, and of what is done.
    Status permit(const std::string& peer, const std::string& method, const std::string& path, bool changes_trust);
    // Ends those whose key is not a peer's any more.
    void check_trust();

private:
    struct Entry { std::string peer; std::weak_ptr<Tunnel> tunnel; };

    void refuse(const std::shared_ptr<Connection>& connection, unsigned status, const Error& why);
    void tell_refused(const std::string& peer, const Error& why);
    size_t count(const std::string& peer) const;

    Host& host_;
    const RightOf right_of_;
    Adopt adopt_;
    std::map<uint64_t, Entry> entries_;
    uint64_t next_id_ = 1;
    struct Told { uint64_t due_ns = 0, untold = 0; };
    std::map<std::string, Told> told_;  // by peer, of whom there are peers_max at once
    const std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace holdfast::replicator
