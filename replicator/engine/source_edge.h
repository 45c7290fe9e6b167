// One replica of one of this host's volumes: dials its peer, ships the journal, and dials again when the connection is lost.
//
//     waiting ──time──> preparing ──> connecting ──TLS──> greeting ──verdict──> streaming
//        ^                                                       │  ^             │
//        │                                                       v  │             │
//        │                                                    repairing           │
//        └────────────────────────── any failure, with its reason ───────────────┘
//
// The pause doubles from retry_first_ns to retry_longest_ns and starts anew after a connection that streamed. The journal is opened
// once; the cursor, which keeps what the replica still needs, is saved at most once per cursor_interval_ns, because a late one only keeps more.
//
// Thread rule: the loop's thread. Ownership: the host outlives it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "replicator/engine/connection.h"
#include "replicator/engine/dial.h"
#include "replicator/engine/host.h"
#include "replicator/engine/lag.h"
#include "replicator/engine/losses.h"
#include "replicator/engine/pace.h"
#include "replicator/engine/side_streams.h"
#include "replicator/engine/source_journal.h"
#include "replicator/engine/source_repair.h"
#include "replicator/engine/status.h"
#include "replicator/engine/work.h"
#include "replicator/protocol/frame.h"
#include "replicator/protocol/packing_level.h"
#include "replicator/protocol/sender.h"

namespace holdfast::replicator {

inline constexpr uint64_t retry_first_ns = 200'000'000;
inline constexpr uint64_t retry_longest_ns = 15'000'000'000;
// A host that answers, and has no engine now, is asked at least so often: that costs next to nothing, and it may have one any moment.
inline constexpr uint64_t retry_refused_ns = 500'000'000;
inline constexpr uint64_t cursor_interval_ns = 1'000'000'000;
// A journal that fills is told once, and again after it had room.
inline constexpr uint64_t look_around_ns = 5'000'000'000;
// A link is long from this round trip on; then a session has so many connections, unless the configuration says how many.
inline constexpr uint64_t long_round_trip_ns = 50'000'000;
inline constexpr uint32_t long_link_streams = 5;
// Over several connections what is read at once is shorter, so that all of them have something to carry; what is shorter still stays on the first.
inline constexpr uint32_t side_piece_bytes_max = 256 << 10;
inline constexpr size_t side_frame_bytes_min = 8 << 10;
inline constexpr unsigned journal_filling_percent = 80, journal_relaxed_percent = 70;

class SourceEdge {
public:
    // VOLUME as the configuration names it: a directory, store or id.
    SourceEdge(Host& host, std::string volume, std::string peer);
    ~SourceEdge();
    SourceEdge(const SourceEdge&) = delete;
    SourceEdge& operator=(const SourceEdge&) = delete;

    const std::string& volume() const { return volume_; }
    const std::string& peer() const { return peer_; }
    // Takes effect with the next piece that is sent.
    void set_limits(const Limits& limits) { limits_ = limits; }
    // How many connections a session has: 1 to 1 + HF_SIDE_STREAMS_MAX; 0: more than one over long links. Fewer from the next session on.
    void set_streams(uint32_t streams) { streams_ = streams; }
    // Outside of its hours a replica is sent nothing, as if it were suspended; that is looked at every look_around_ns.
    void set_schedule(const Schedule& schedule);
    // Sends what is published now, whatever the hours. Errors: busy (the replica is suspended, the host in maintenance).
    Status run_once();
    // The replica compares all it has with what this host's store had at the same moment; status() tells what it found. Errors: unavailable (it is
    // away), unsupported (it is of an older version).
    Status compare();
    // A suspended replica is sent nothing; the journal keeps what it has not taken, and it goes on from there.
    void suspend();
    void resume();
    // Rests, or begins again, when that has changed for another reason: the host's maintenance, the hours.
    void check_hold();
    bool is_at_rest() const { return is_at_rest_; }
    // Remembers what is published, and says who has not got it on its disk; empty: it has.
    void begin_draining();
    std::string undrained();
    // Ends a connection whose key is not the peer's any more.
    void check_trust();
    // Says on the connection, if there is one, what KeyRotation has to say.
    void tell_keys();
    // The connection is made anew.
    void reconnect(const char* why);
    EdgeStatus status() const;

private:
    struct Prepared { std::shared_ptr<SourceJournal> journal; Result<std::vector<SocketAddress>> addresses; };
    static Result<Prepared> prepare(std::shared_ptr<SourceJournal> journal, const std::string& volume, const std::string& peer, const std::string& address);

    void prepare();
    void connect(const Result<Prepared>& prepared);
    void connected(Result<UniqueFd> socket);
    void take(ByteSpan bytes);
    void established();
    void greet(Result<Hello> self);
    void carry_out(Actions actions);
    void read(const ReadStream& what);
    void read_now(const ReadStream& what, uint64_t limit, bool is_link_behind);
    struct PackedPiece { StreamPiece stream; std::vector<std::byte> frame; PackingLevel::Packed packed; };
    static Result<PackedPiece> read_and_pack(SourceJournal& journal, Lsn from, uint32_t bytes_max, PackingLevel::Choice choice, const Clock& clock);
    void send_piece(PackedPiece piece);
    void send(const Message& message);
    void send_long(ByteSpan frame);
    void widen();
    size_t waiting_bytes() const;
    void ask_position(Lsn at);
    void begin_repair();
    void offer(const SourceJournal::RepairOffer& offer);
    void end_repair();
    void drop_repair();
    uint64_t store_waits_ns() const;
    void serve_comparison(Lsn at);
    void fail_serving(const Error& why);
    void end_serving();
    void note_compared(const Compared& compared);
    void fail(const Error& error);
    void tick();
    void save_cursor();
    void look_around();
    void check_once();
    uint64_t limit_now() const;
    void over(const Error& why);
    const char* held() const;
    void rest(const char* state);
    void tell_of(const Error& why, EventCode lost);
    void watch();
    void published();
    void went_back();
    void heard();
    void tell_alone();
    void tell_of_gaps();

    Host& host_;
    const std::string volume_, peer_;
    Limits limits_;
    bool is_suspended_ = false, is_at_rest_ = false;
    Schedule schedule_;
    bool is_once_ = false;           // it goes on outside of its hours
    std::optional<Lsn> once_to_;     // until the replica has this on its disk; nothing: the journal is not open yet
    std::optional<Lsn> drain_to_;
    Work work_;
    Work cursor_work_;  // a cursor is synced, and nothing that is to be sent waits for that
    std::shared_ptr<SourceJournal> journal_;

    const char* state_ = "waiting";
    std::string why_;  // the last failure
    Losses losses_;
    uint64_t retry_ns_ = retry_first_ns;
    size_t attempts_ = 0;
    Loop::TimerId retry_ = 0, tick_ = 0, paced_ = 0, check_ = 0;
    bool is_filling_ = false;

    std::shared_ptr<Connection> connection_;
    SocketAddress address_;  // of connection_
    bool is_tuned_ = false;  // for a long link
    uint32_t streams_ = 0;
    std::unique_ptr<SideStreams> sides_;
    std::optional<Sender> sender_;
    std::unique_ptr<SourceRepair> repair_;
    std::shared_ptr<SyncLink> serving_;  // our store, while the replica's is compared with it
    FrameReader frames_;
    Pace pace_;
    PackingLevel packing_;
    std::vector<std::byte> ready_frame_;  // of the records that the session is about to send
    std::optional<size_t> place_;  // of this replica, where acknowledgements are told
    Lsn cursor_wanted_ = 0, cursor_saved_ = 0;
    uint64_t cursor_due_ns_ = 0;
    bool has_streamed_ = false;

    // What status() tells beside the session, and keeps when that is over.
    LagMeter lag_;
    std::optional<Lsn> durable_, applied_;
    EqualityStatus equality_;
    EdgeTotals totals_;

    const std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);  // the loop's thread alone
    std::atomic<bool> is_ending_{false}, is_told_{false};
    std::thread watcher_;
};

}  // namespace holdfast::replicator
