// The source's end of a session: places the replica in the source's history and streams from there.
//
//     greeting ──HELLO──> placing ──verdict──> streaming
//         ^                │   │                   │
//         ├─ "go back to" ─┘   │                   └──> over
//         └─ HELLO ─ repairing <─ moment ─ offering <─┐
//                              └── "by comparison" ───┘
//
// During a repair the two stores talk through the session, the replica's asking and the source's answering (rewind/sync); the session passes
// on what they say. At its end the replica greets again, and is placed where its journal begins now.
//
// While it streams, the replica's store may compare itself with ours (COMPARE): its questions and the answers go between the records. Such a comparison is
// over when both have said so (COMPARED), so that a question that was on the way is not taken for one of the next.
//
// What is sent and not yet received by the peer is bounded by window_bytes_max; then the session waits for an
// acknowledgement. It resumes at the replica's durable end, so nothing is taken for delivered that a power cut there
// could undo.
//
// Thread rule: one thread. Holds no bytes of the stream.
#pragma once

#include <optional>

#include "replicator/protocol/actions.h"
#include "replicator/protocol/dialogue.h"
#include "replicator/protocol/fork_search.h"
#include "replicator/protocol/handshake.h"

namespace holdfast::replicator {

inline constexpr uint64_t window_bytes_max = 16 << 20;
inline constexpr uint32_t batch_bytes_max = 1 << 20;

// A part of the stream, within one segment.
struct StreamPiece {
    std::vector<std::byte> header;  // hf_segment_header, when the piece begins with the segment; else empty
    Records records;                // no bytes: nothing is published there yet
};

class Sender {
public:
    // SELF says where the source's history begins and ends now.
    Sender(Hello self, uint64_t term, uint64_t now_ns);

    Actions start(uint64_t now_ns);
    Actions on_message(Received received, uint64_t now_ns);
    Actions on_position(Lsn asked, const std::optional<Position>& position, uint64_t now_ns);  // AskPosition
    Actions on_read(StreamPiece piece, uint64_t now_ns);                                       // ReadStream
    Actions on_published(Lsn published, uint64_t now_ns);
    // OfferRepair. SELF is the source's greeting of now: its history must still reach back to OFFER.begin, and reach to OFFER.at.
    Actions on_repair_offered(const RepairBegins& offer, const Hello& self, uint64_t now_ns);
    Actions on_store_answer(std::vector<std::byte> bytes, uint64_t now_ns);  // AskStore; ignored when nobody waits for it any more
    // All of the replica is to be compared, once. Nothing happens when can_be_compared() is false.
    Actions ask_for_comparison(uint64_t now_ns);
    // Our store cannot serve the comparison that is under way.
    Actions on_comparison_failure(const std::string& why, uint64_t now_ns);
    // Our own side cannot go on: the journal cannot be read, the engine stops.
    Actions on_failure(Reason reason, const std::string& sentence, uint64_t now_ns);
    Actions on_tick(uint64_t now_ns);
    // Something came from the peer, if not a whole message.
    void heard(uint64_t now_ns) { dialogue_.heard(now_ns); }

    bool is_over() const { return dialogue_.is_over(); }
    bool is_streaming() const { return state_ == State::streaming && !is_over(); }
    // The peer understands COMPARE.
    bool can_be_compared() const { return is_streaming() && peer_.version >= comparing_version; }
    // It has greeted, and takes what comes on further connections.
    bool may_have_side_streams() const { return !is_over() && peer_.version >= side_streams_version; }
    // From OfferRepair until the replica greets again.
    bool is_repairing() const { return (state_ == State::offering || state_ == State::repairing) && !is_over(); }
    const Ack& acknowledged() const { return acknowledged_; }
    Lsn sent() const { return sent_; }
    // How the last greeting was decided; for the evidence.
    const std::optional<HandshakeDecision>& decision() const { return decision_; }

private:
    enum class State { greeting, placing, offering, repairing, streaming };
    enum class Comparing { no, yes, broken };

    void greet(const Hello& peer, uint64_t now_ns, Actions& actions);
    void ask(uint64_t now_ns, Actions& actions);
    void compare(uint64_t now_ns, Actions& actions);
    void judge(uint64_t now_ns, Actions& actions);
    void offer_repair(uint64_t now_ns, Actions& actions);
    void take(const PositionIs& answer, uint64_t now_ns, Actions& actions);
    void take(const Ack& ack, uint64_t now_ns, Actions& actions);
    void take(SyncBytes& question, uint64_t now_ns, Actions& actions);
    void take(const Compare& compare, uint64_t now_ns, Actions& actions);
    void take(Compared& compared, uint64_t now_ns, Actions& actions);
    void pump(Actions& actions);
    void violation(const char* what, uint64_t now_ns, Actions& actions);

    Hello self_;
    const uint64_t term_;
    Dialogue dialogue_;
    State state_ = State::greeting;
    int rewinds_ = 0, repairs_ = 0;

    // Placing.
    Hello peer_{.version = 0};  // until it has greeted
    std::optional<ForkSearch> search_;
    // Outer: has the answer come; inner: could the side tell.
    std::optional<std::optional<Position>> ours_, theirs_;
    std::optional<HandshakeDecision> decision_;

    // Streaming.
    Lsn published_;
    Lsn sent_ = 0;
    bool is_reading_ = false;
    Ack acknowledged_;
    Comparing comparing_ = Comparing::no;
};

}  // namespace holdfast::replicator
