// The replica's end of a session: tells where it is, goes back when the histories forked, and takes the stream in.
//
// Acknowledged are three addresses: received (in the inbound journal), durable (on disk), applied (in the image). A sync
// is asked for whenever something was received and none is under way, so one sync serves everything that came meanwhile.
//
// When the two histories share nothing any more, the image is made equal to the source's by comparison: the stores talk through the session,
// ours asking and the source's answering (rewind/sync), and then the replica greets again with a journal that begins where the source said.
//
// While it streams, the store may be compared with the source's: it asks as in a repair, and nothing is changed. The comparison is over when both sides have
// said so, so that an answer that was on the way is not taken for one of the next.
//
// The source is not trusted: it can neither skip addresses, nor send the replica back beyond its window, nor make it
// forget: what RewindTo discards is kept aside by the engine (I7), and a repair leaves the image as it was in its history.
//
// Thread rule: one thread.
#pragma once

#include <optional>

#include "replicator/protocol/actions.h"
#include "replicator/protocol/dialogue.h"

namespace holdfast::replicator {

class Receiver {
public:
    // SELF says where the replica's durable history ends. REQUIRES: the inbound journal was synced before.
    Receiver(Hello self, uint64_t term, uint64_t now_ns);

    Actions start(uint64_t now_ns);
    Actions on_message(Received received, uint64_t now_ns);
    Actions on_position(Lsn asked, const std::optional<Position>& position, uint64_t now_ns);  // AskPosition
    Actions on_stored(Lsn received, uint64_t now_ns);                                          // StoreRecords
    Actions on_synced(Lsn durable, uint64_t now_ns);                                           // SyncJournal
    Actions on_applied(Lsn applied, uint64_t now_ns);
    Actions on_rewound(const Hello& self, uint64_t now_ns);                                    // RewindTo
    Actions on_store_question(std::vector<std::byte> bytes, uint64_t now_ns);  // BeginRepair, on_comparison(); ignored when that is over
    // Our store compares itself with the source's at AT: what it wants to know comes by on_store_question(), the end by on_compared(). REQUIRES:
    // can_compare().
    Actions on_comparison(Lsn at, uint64_t now_ns);
    // What was found, or why nothing could be. Ignored when no comparison is under way.
    Actions on_compared(const Compared& compared, uint64_t now_ns);
    Actions on_repaired(const Hello& self, uint64_t now_ns);                   // BeginRepair
    Actions on_failure(Reason reason, const std::string& sentence, uint64_t now_ns);
    Actions on_tick(uint64_t now_ns);
    // Something came from the peer, if not a whole message.
    void heard(uint64_t now_ns) { dialogue_.heard(now_ns); }

    bool is_over() const { return dialogue_.is_over(); }
    bool is_streaming() const { return state_ == State::streaming && !is_over(); }
    bool is_repairing() const { return state_ == State::repairing && !is_over(); }
    bool is_source_able_to_compare() const { return source_version_ >= comparing_version; }
    // Now: the last comparison is over.
    bool can_compare() const { return is_streaming() && is_source_able_to_compare() && comparing_ == Comparing::no; }
    uint64_t term() const { return term_; }
    const Ack& progress() const { return progress_; }
    // What the source has published, as far as it said; for the lag.
    Lsn source_published() const { return source_published_; }

private:
    enum class Comparing { no, yes, ending };
    enum class State { greeting, placed_by_source, rewinding, promised_repair, repairing, streaming };

    bool accept_term(uint64_t term, uint64_t now_ns, Actions& actions);
    void take(const Hello& peer, uint64_t now_ns, Actions& actions);
    void take(const Probe& probe, uint64_t now_ns, Actions& actions);
    void take(const Verdict& verdict, uint64_t now_ns, Actions& actions);
    void take(const RepairBegins& point, uint64_t now_ns, Actions& actions);
    void take(SyncBytes& answer, uint64_t now_ns, Actions& actions);
    void take(const Compare& wanted, uint64_t now_ns, Actions& actions);
    void take(Compared& compared, uint64_t now_ns, Actions& actions);
    void take(SegmentBegins segment, uint64_t now_ns, Actions& actions);
    void take(Records records, uint64_t now_ns, Actions& actions);
    void greet_again(const Hello& self, uint64_t now_ns, Actions& actions);
    void acknowledge(uint64_t now_ns, Actions& actions);
    void violation(const char* what, uint64_t now_ns, Actions& actions);

    Hello self_;
    uint64_t term_;
    Dialogue dialogue_;
    State state_ = State::greeting;
    int probes_ = 0, rewinds_ = 0, repairs_ = 0;
    uint16_t source_version_ = 0;
    Lsn repaired_at_ = 0;        // as the verdict says
    std::optional<Lsn> probed_;  // asked of our engine and not yet answered

    Lsn expected_ = 0;  // where the next records begin
    Ack progress_;
    bool is_syncing_ = false;
    Comparing comparing_ = Comparing::no;
    Lsn source_published_ = 0;
};

}  // namespace holdfast::replicator
