#include "replicator/engine/control_gate.h"

#include <algorithm>

#include "base/text.h"
#include "replicator/engine/http_server.h"

namespace holdfast::replicator {

namespace {

constexpr unsigned forbidden = 403, unavailable = 503;

// For those whose request is not even read.
std::string whole_answer(unsigned status, const Error& why) {
    const std::string body = http_error(status, why).body;
    return "HTTP/1.1 " + std::to_string(status) + (status == forbidden ? " Forbidden" : " Service Unavailable") +
           "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

ControlGate::~ControlGate() {
    *is_alive_ = false;
    for (const auto& [id, entry] : entries_)
        if (const auto tunnel = entry.tunnel.lock()) tunnel->close({ErrorCode::unavailable, "the engine ends"});
}

size_t ControlGate::count(const std::string& peer) const {
    return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.second.peer == peer; }));
}

void ControlGate::enter(std::shared_ptr<Connection> connection) {
    connection->set_events({});
    const Peer* const known = host_.peers.find(connection->channel().peer());
    if (known == nullptr) return connection->close({ErrorCode::permission, "its key was revoked"});
    const std::string peer = known->name;
    const Status may_look = check_control(right_of_(peer), ControlNeed::look, peer, host_.name);
    if (!may_look) {
        tell_refused(peer, may_look.error());
        return refuse(connection, forbidden, may_look.error());
    }
    if (!adopt_ || entries_.size() >= control_connections_max || count(peer) >= control_connections_per_peer_max)
        return refuse(connection, unavailable, {ErrorCode::unavailable, "host " + quoted(host_.name) + " is being asked too much at once; try again"});
    const uint64_t id = next_id_++;
    auto opened = Tunnel::open(host_.loop, connection, control_lifetime_ns, [this, alive = is_alive_, id] {
        if (*alive) entries_.erase(id);
    });
    if (!opened) return connection->close(opened.error());
    entries_.emplace(id, Entry{peer, opened->tunnel});
    if (Status adopted = adopt_(std::move(opened->inner), peer); !adopted) opened->tunnel->close(adopted.error());
}

void ControlGate::refuse(const std::shared_ptr<Connection>& connection, unsigned status, const Error& why) {
    connection->send(bytes_of(std::string_view(whole_answer(status, why))));
    connection->close(why);
}

Status ControlGate::permit(const std::string& peer, const std::string& method, const std::string& path, bool changes_trust) {
    const ControlNeed need = control_need(method, changes_trust);
    const Status permitted = host_.peers.find(std::string_view(peer)) == nullptr ? Status(Error{ErrorCode::permission, "its key was revoked"})
                                                                                 : check_control(right_of_(peer), need, peer, host_.name);
    if (!permitted) tell_refused(peer, {ErrorCode::permission, quoted(method + " " + path) + ": " + permitted.error().message});
    else if (need == ControlNeed::act) host_.events->raise(EventCode::control_used, {.peer = peer, .why = quoted(method + " " + path)});
    return permitted;
}

void ControlGate::tell_refused(const std::string& peer, const Error& why) {
    Told& told = told_[peer];
    const uint64_t now_ns = host_.loop.now_ns();
    if (now_ns < told.due_ns) {
        ++told.untold;
        return;
    }
    told.due_ns = now_ns + control_event_interval_ns;
    const uint64_t others = std::exchange(told.untold, 0);
    host_.events->raise(EventCode::control_refused, {.peer = peer, .why = why.message + (others == 0 ? "" : "; so were " + std::to_string(others) + " others before it")});
}

void ControlGate::check_trust() {
    for (const auto& [id, entry] : entries_) {
        const auto tunnel = entry.tunnel.lock();
        if (tunnel && !host_.is_key_of(tunnel->peer_key(), entry.peer)) tunnel->close({ErrorCode::permission, "the peer's key was revoked"});
    }
}

}  // namespace holdfast::replicator
