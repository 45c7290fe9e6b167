#include "replicator/engine/side_streams.h"

#include <sys/random.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "replicator/engine/dial.h"
#include "replicator/engine/status.h"

namespace holdfast::replicator {

SessionKey SideStreams::Session::random_key() {
    SessionKey key{};
    HF_CHECK(::getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size()));
    return key;
}

SideStreams::~SideStreams() {
    *is_alive_ = false;
    for (Side& side : sides_) {
        if (!side.connection) continue;
        side.connection->abandon({ErrorCode::unavailable, "the session is over"});
    }
}

void SideStreams::want(uint32_t count) {
    HF_CHECK(count <= HF_SIDE_STREAMS_MAX);
    wanted_ = std::max(wanted_, count);
    dial_next();
}

void SideStreams::dial_next() {
    const auto is_coming = [](const Side& side) { return side.is_dialing || (side.connection && !side.is_joined); };
    if (std::any_of(sides_.begin(), sides_.end(), is_coming)) return;
    for (uint32_t number = 1; number <= wanted_; ++number)
        if (!sides_[number].connection && host_.loop.now_ns() >= sides_[number].due_ns) return dial_side(number);
}

void SideStreams::dial_side(uint32_t number) {
    sides_[number].is_dialing = true;
    dial(host_.loop, session_.address, [this, alive = is_alive_, number](Result<UniqueFd> socket) {
        if (*alive) dialed(number, std::move(socket));
    });
}

void SideStreams::dialed(uint32_t number, Result<UniqueFd> socket) {
    Side& side = sides_[number];
    side.is_dialing = false;
    if (!socket) return over(number, socket.error());
    auto channel = TlsChannel::client(host_.identity, Purpose::link, [this, alive = is_alive_](const Fingerprint& key) { return *alive && host_.is_key_of(key, session_.peer); });
    if (!channel) return over(number, channel.error());
    side.frames = FrameReader();
    side.connection = Connection::start(host_.loop, std::move(*socket), std::move(*channel),
                                        {[this, number] { sides_[number].connection->send(host_.encode(Join{session_.key, number}, session_.term)); },
                                         [this, number](ByteSpan bytes) { take(number, bytes); },
                                         [this, number](const Error& why) { over(number, why); }});
    side.connection->end_when_unacknowledged(side_unacknowledged_ns_max);
    if (session_.is_link_long) side.connection->tune_for_long_link();
}

// One message comes, and once.
void SideStreams::take(uint32_t number, ByteSpan bytes) {
    Side& side = sides_[number];
    side.frames.append(bytes);
    auto next = side.frames.next();
    if (!next) return side.connection->close(next.error());
    if (!*next) return;
    const auto* joined = std::get_if<Joined>(&(*next)->message);
    if (side.is_joined || joined == nullptr || joined->number != number) return side.connection->close({ErrorCode::corrupt, "the peer said on a further connection what does not belong there"});
    side.is_joined = true;
    dial_next();
}

void SideStreams::over(uint32_t number, const Error& why) {
    const bool was_joined = sides_[number].is_joined;
    sides_[number] = Side();
    sides_[number].due_ns = host_.loop.now_ns() + side_retry_ns;
    if (was_joined) return lost_({why.code, "a further connection of the session was lost: " + why.message});
    log_warning("A further connection to " + quoted(session_.peer) + " did not come about, and is tried again: " + why.message + ".");
}

uint32_t SideStreams::joined() const {
    uint32_t joined = 0;
    for (const Side& side : sides_) joined += side.is_joined;
    return joined;
}

std::optional<uint32_t> SideStreams::idlest() const {
    std::optional<uint32_t> best;
    size_t least = 0;
    for (uint32_t number = 1; number < sides_.size(); ++number) {
        if (!sides_[number].is_joined) continue;
        const size_t backlog = sides_[number].connection->unacknowledged_bytes();
        if (best && backlog >= least) continue;
        best = number;
        least = backlog;
    }
    return best;
}

size_t SideStreams::waiting_bytes() const {
    size_t bytes = 0;
    for (const Side& side : sides_) bytes += side.connection ? side.connection->waiting_bytes() : 0;
    return bytes;
}

size_t SideStreams::backlog_bytes() const {
    size_t bytes = 0;
    for (const Side& side : sides_) bytes += side.connection ? side.connection->backlog_bytes() : 0;
    return bytes;
}

void SideStreams::add_to(EdgeTotals& totals) const {
    for (const Side& side : sides_) totals.add(side.connection.get());
}

}  // namespace holdfast::replicator
