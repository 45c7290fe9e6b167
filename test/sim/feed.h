// The way of bytes from the network into a session, the same on both sides.
#pragma once

#include <algorithm>
#include <cstring>

#include "base/disk.h"
#include "replicator/protocol/frame.h"

namespace holdfast::sim {

// CARRY_OUT takes the actions that SESSION returns. Stops when the session is over.
template <typename Session, typename CarryOut>
void feed(replicator::FrameReader& frames, std::optional<Session>& session, ByteSpan bytes, uint64_t now_ns, CarryOut carry_out) {
    const auto is_on = [&] { return session && !session->is_over(); };
    while (!bytes.empty() && is_on()) {
        const MutableByteSpan room = frames.room();
        const size_t taken = std::min(room.size(), bytes.size());
        memcpy(room.data(), bytes.data(), taken);
        frames.filled(taken);
        bytes = bytes.subspan(taken);
        while (is_on()) {
            auto next = frames.next();
            if (!next) return carry_out(session->on_failure(replicator::Reason::protocol, next.error().message, now_ns));
            if (!*next) break;
            carry_out(session->on_message(std::move(**next), now_ns));
        }
    }
}

}  // namespace holdfast::sim
