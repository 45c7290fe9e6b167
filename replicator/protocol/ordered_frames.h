// The messages of a session in their order, whichever of its connections they come on.
//
// The first connection gives the order. ELSEWHERE in it stands for one message that comes on a further connection, and on each of those messages
// come in the order in which the first one names it. So nothing needs a number of its own, and no connection that runs ahead is lost: it
// waits here until it is its turn.
//
// Only batches of records and what stores say to each other travel on further connections: what is long, and never asked for again.
// Thread rule: that of the session.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "replicator/protocol/frame.h"

namespace holdfast::replicator {

// A connection on which that much waits has a whole message, so it is not read from until its turn comes: one whose turn it is never stops.
inline constexpr size_t ordered_waiting_bytes_max = sizeof(hf_frame_header) + HF_FRAME_STORED_BYTES_MAX;

class OrderedFrames {
public:
    OrderedFrames() : OrderedFrames(FrameReader()) {}
    // FIRST may hold more of what the first connection brought, as that of open() of another.
    explicit OrderedFrames(FrameReader first) { streams_[0] = std::move(first); }

    // A further connection. REQUIRES: NUMBER is 1 to HF_SIDE_STREAMS_MAX and not open.
    void open(uint32_t number, FrameReader frames) { streams_[number] = std::move(frames); }
    bool is_open(uint32_t number) const { return streams_[number].has_value(); }

    // REQUIRES: the connection is open; 0 is the first.
    void append(uint32_t number, ByteSpan bytes) { streams_[number]->append(bytes); }
    bool has_room(uint32_t number) const { return streams_[number]->waiting_bytes() < ordered_waiting_bytes_max; }
    // The next message; nothing when it has not come yet. Errors: as FrameReader::next(); corrupt: it names a connection that is not open, or one
    // brought what does not belong there.
    Result<std::optional<Received>> next();

private:
    std::array<std::optional<FrameReader>, HF_SIDE_STREAMS_MAX + 1> streams_;
    uint32_t turn_ = 0;  // where the next message comes
};

}  // namespace holdfast::replicator
