// The way of bytes from a connection into a session, the same on both sides, in the engine and in the simulator.
// Thread rule: that of the session.
#pragma once

#include <algorithm>
#include <cstring>

#include "base/disk.h"
#include "replicator/protocol/frame.h"

namespace holdfast::replicator {

// First what FRAMES holds already, then BYTES, which may be none. Bytes of a message that is not whole yet are a sign of life: over a slow
// link one message may take longer than the silence that is borne. CARRY_OUT takes the actions that SESSION returns. Stops when
// the session is over. ASIDE is asked first for each message, and returns true for one that is not the session's.
template <typename Session, typename CarryOut, typename Aside>
void feed(FrameReader& frames, std::optional<Session>& session, ByteSpan bytes, uint64_t now_ns, CarryOut carry_out, Aside aside) {
    const auto is_on = [&] { return session && !session->is_over(); };
    if (is_on()) session->heard(now_ns);
    while (is_on()) {
        auto next = frames.next();
        if (!next) return carry_out(session->on_failure(Reason::protocol, next.error().message, now_ns));
        if (*next) {
            if (!aside((*next)->message)) carry_out(session->on_message(std::move(**next), now_ns));
            continue;
        }
        if (bytes.empty()) return;
        const MutableByteSpan room = frames.room();
        const size_t taken = std::min(room.size(), bytes.size());
        memcpy(room.data(), bytes.data(), taken);
        frames.filled(taken);
        bytes = bytes.subspan(taken);
    }
}

template <typename Session, typename CarryOut>
void feed(FrameReader& frames, std::optional<Session>& session, ByteSpan bytes, uint64_t now_ns, CarryOut carry_out) {
    feed(frames, session, bytes, now_ns, std::move(carry_out), [](const Message&) { return false; });
}

}  // namespace holdfast::replicator
