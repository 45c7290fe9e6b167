// The way of messages from connections into a session, the same on both sides, in the engine and in the simulator.
// Thread rule: that of the session.
#pragma once

#include <optional>

#include "replicator/protocol/frame.h"

namespace holdfast::replicator {

// All that FRAMES has: a FrameReader or OrderedFrames, to which what just came has been appended. Bytes of a message that is not whole yet are a sign of
// life: over a slow link one message may take longer than the silence that is borne. CARRY_OUT takes the actions that SESSION returns. Stops when
// the session is over. ASIDE is asked first for each message, and returns true for one that is not the session's.
template <typename Frames, typename Session, typename CarryOut, typename Aside>
void feed(Frames& frames, std::optional<Session>& session, uint64_t now_ns, CarryOut carry_out, Aside aside) {
    const auto is_on = [&] { return session && !session->is_over(); };
    if (is_on()) session->heard(now_ns);
    while (is_on()) {
        auto next = frames.next();
        if (!next) return carry_out(session->on_failure(Reason::protocol, next.error().message, now_ns));
        if (!*next) return;
        if (!aside((*next)->message)) carry_out(session->on_message(std::move(**next), now_ns));
    }
}

template <typename Frames, typename Session, typename CarryOut>
void feed(Frames& frames, std::optional<Session>& session, uint64_t now_ns, CarryOut carry_out) {
    feed(frames, session, now_ns, std::move(carry_out), [](const Message&) { return false; });
}

}  // namespace holdfast::replicator
