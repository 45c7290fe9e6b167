#include "replicator/engine/guest.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "base/text.h"

namespace holdfast::replicator {

namespace {

constexpr uint64_t accept_pause_ns = 100'000'000;

}  // namespace

struct Guests::Guest {
    uint64_t id;
    std::string from;
    std::shared_ptr<Connection> connection;
    FrameReader frames;
    Loop::TimerId deadline = 0;
};

Guests::Guests(Host& host, Callbacks callbacks, uint64_t guest_ns) : host_(host), callbacks_(std::move(callbacks)), guest_ns_(guest_ns) {}

Guests::~Guests() {
    *is_alive_ = false;
    // The accept that is under way ends with this. A socket that outlives us would be of no use any more; there it ends with the ring.
    if (!outlives_us_) ::shutdown(socket_.get(), SHUT_RDWR);
    while (!guests_.empty()) {
        const auto connection = guests_.begin()->second->connection;
        leave(guests_.begin()->first);
        connection->close({ErrorCode::unavailable, "the engine ends"});
    }
}

void Guests::welcome(UniqueFd socket, bool outlives_us) {
    outlives_us_ = outlives_us;
    socket_ = std::move(socket);
    accept();
}

void Guests::accept() {
    host_.loop.accept(socket_.get(), [this, alive = is_alive_](int result) {
        UniqueFd accepted(result);
        if (!*alive) return;
        if (accepted) {
            enter(std::move(accepted));
            return accept();
        }
        // Out of descriptors, most likely: not a reason to spin.
        host_.loop.after(accept_pause_ns, [this, alive] { if (*alive) accept(); });
    });
}

void Guests::enter(UniqueFd socket) {
    SocketAddress address;
    address.length = sizeof address.bytes;
    if (::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address.bytes), &address.length) != 0) return;
    const std::string from = host_of(address);
    const auto others = from_.find(from);
    if (guests_.size() >= guests_max || (others != from_.end() && others->second >= guests_per_host_max)) {
        ++refused_;
        return tell_refused(from, "too many are there already");
    }
    const auto admit = [this](const Fingerprint& key) { return host_.peers.find(key) != nullptr; };
    auto channel = TlsChannel::server(host_.identity, {.pairing = callbacks_.is_pairing()}, admit);
    if (!channel) return log_error("A connection could not be taken: " + channel.error().message + ".");

    auto owned = std::make_unique<Guest>(Guest{next_id_++, from, {}, {}, 0});
    Guest& guest = *owned;
    guests_.emplace(guest.id, std::move(owned));
    ++from_[from];
    const uint64_t id = guest.id;
    guest.deadline = host_.loop.after(guest_ns_, [this, &guest] { refuse(guest, {ErrorCode::unavailable, "it did not greet in time"}); });
    guest.connection = Connection::start(host_.loop, std::move(socket), std::move(*channel),
                                         {[this, &guest] { established(guest); }, [this, &guest](ByteSpan bytes) { take(guest, bytes); },
                                          [this, alive = is_alive_, id, from](const Error& why) {
                                              if (!*alive) return;
                                              // A peer that comes while this host is in maintenance is no stranger.
                                              if (why.code != ErrorCode::busy) ++refused_, tell_refused(from, why.message);
                                              leave(id);
                                          }});
}

void Guests::established(Guest& guest) {
    const Purpose purpose = guest.connection->channel().purpose();
    if (purpose == Purpose::link) return;
    const auto connection = guest.connection;
    leave(guest.id);
    purpose == Purpose::pairing ? callbacks_.pairing(connection) : callbacks_.control(connection);
}

void Guests::take(Guest& guest, ByteSpan bytes) {
    guest.frames.append(bytes);
    auto first = guest.frames.next();
    if (!first) return refuse(guest, first.error());
    if (!*first) return;
    const Peer* peer = host_.peers.find(guest.connection->channel().peer());
    if (peer == nullptr) return refuse(guest, {ErrorCode::permission, "its key was revoked"});
    // Whoever the message leads to has the connection then, and what else was said.
    const uint64_t id = guest.id;
    if (Status taken = hand_on(*peer, guest.connection, **first, guest.frames); !taken) return refuse(guest, taken.error());
    leave(id);
}

Status Guests::hand_on(const Peer& peer, std::shared_ptr<Connection> connection, Received& first, FrameReader& frames) {
    if (const auto* join = std::get_if<Join>(&first.message)) return callbacks_.joined(peer, std::move(connection), *join, frames);
    if (!std::holds_alternative<Hello>(first.message)) return Error{ErrorCode::permission, "it did not greet first"};
    const uint64_t term = first.term;
    Status taken = callbacks_.greeted(peer, connection, first, frames);
    if (taken) return taken;
    const Reason reason = taken.error().code == ErrorCode::busy ? Reason::maintenance : Reason::refused;
    connection->send(host_.encode(Goodbye{reason, taken.error().message.substr(0, HF_FRAME_SENTENCE_BYTES_MAX)}, term));
    return taken;
}

void Guests::tell_refused(const std::string& from, const std::string& why) {
    const uint64_t now_ns = host_.loop.now_ns();
    if (now_ns < tell_due_ns_) return;
    tell_due_ns_ = now_ns + stranger_event_interval_ns;
    const uint64_t others = refused_ - std::exchange(told_, refused_) - 1;
    host_.events->raise(EventCode::stranger_refused, {.peer = from, .why = why + (others == 0 ? "" : "; so did " + std::to_string(others) + " others before it")});
}

void Guests::refuse(Guest& guest, const Error& why) {
    guest.connection->close(why);
}

// The connection lives on if somebody else has it.
void Guests::leave(uint64_t id) {
    const auto guest = guests_.find(id);
    if (guest == guests_.end()) return;
    host_.loop.cancel(guest->second->deadline);
    if (const auto count = from_.find(guest->second->from); count != from_.end() && --count->second == 0) from_.erase(count);
    guests_.erase(guest);
}

}  // namespace holdfast::replicator
