// A volume of another host that this host keeps a replica of: takes the stream in, has it applied, and tells how far it is.
//
// The source calls; a newer connection of the same peer takes the place of an older one, which is dead or about to be seen to be. What
// a connection brought is written by the work's thread, in order; whatever was under way when it broke is finished before the next one greets.
//
// Limits: the sender's window bounds what waits for the disk; a peer that does not keep to it is not read from until it shrinks.
// Thread rule: the loop's thread. Ownership: the host outlives it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "replicator/engine/equality.h"
#include "replicator/engine/config.h"
#include "replicator/engine/connection.h"
#include "replicator/engine/host.h"
#include "replicator/engine/losses.h"
#include "replicator/engine/replica_journal.h"
#include "replicator/engine/standby_news.h"
#include "replicator/engine/status.h"
#include "replicator/engine/store_child.h"
#include "replicator/engine/sync_link.h"
#include "replicator/engine/work.h"
#include "replicator/protocol/ordered_frames.h"
#include "replicator/protocol/receiver.h"

namespace holdfast::replicator {

inline constexpr uint64_t waiting_bytes_max = 32 << 20;
inline constexpr uint64_t upkeep_interval_ns = 2'000'000'000;

class ReplicaEdge {
public:
    // ONWARD as for set_onward().
    ReplicaEdge(Host& host, const KeepRule& rule, std::vector<std::string> onward);
    // Without retire() before, it waits until its store has applied what is left, like that.
    ~ReplicaEdge();
    // Nobody reaches it from here on, and it reaches nobody. ENDED is called when its store has applied what is left, or was killed because that
    // took too long (StoreChild::end()); until then nothing else may be made for its volume or store. Once.
    void retire(std::function<void()> ended);
    ReplicaEdge(const ReplicaEdge&) = delete;
    ReplicaEdge& operator=(const ReplicaEdge&) = delete;

    const journal::VolumeId& volume() const { return volume_; }
    const std::string& store() const { return store_; }
    const std::string& peer() const { return peer_; }
    const KeepRule& rule() const { return rule_; }
    // By its store, or by the volume's id.
    bool is_named(std::string_view volume) const { return volume == store_ || volume == journal::to_string(volume_); }

    // Takes over a connection on which the source has greeted with HELLO. FRAMES may hold more of what it said.
    // REQUIRES: its key is the peer's, and HELLO holds a Hello.
    void attach(std::shared_ptr<Connection> connection, Received hello, FrameReader frames);
    // Whether a session is under way that further connections may join by this key.
    bool has_session(const SessionKey& key) const { return receiver_ && !receiver_->is_over() && session_ == key; }
    // A further connection of that session. REQUIRES: has_session(). Errors: busy: one of that number is there.
    Status join(std::shared_ptr<Connection> connection, const Join& join, FrameReader frames);
    // The peers to whom this replica is sent on: its journal keeps what they have not taken.
    void set_onward(std::vector<std::string> peers);
    // All of it is compared with the source at one moment; status() tells what was found. Errors: unavailable (the source is away), unsupported
    // (it is of an older version).
    Status compare();
    // The image is made equal to the source's, by comparison of everything, in a new session. DONE hears when that is certain to come, whatever dies. Errors:
    // busy (it is being repaired, the host is in maintenance), unavailable (nothing of the source has come yet, the stream broke just now).
    void repair(std::function<void(Status)> done);
    void check_trust();
    // The host's maintenance has begun or is over.
    void check_hold();
    // What is received and not on the disk or not in the image; empty: nothing. REQUIRES: maintenance.
    std::string unsettled() const;
    void tell_keys();
    void reconnect(const char* why);
    EdgeStatus status() const;

private:
    struct Opened { Hello self; uint64_t term; };
    using Answer = Actions (Receiver::*)(Lsn, uint64_t);

    // On the work's thread.
    Result<Opened> open(uint64_t segment_bytes);
    Status open_existing();
    Result<std::optional<Round>> begun_round();
    Status keep_up();
    Result<Hello> take_back(Lsn at);
    Result<Hello> repaired(Lsn at);
    void note_repair();
    void moved_to(Lsn at);

    void end_store();

    void leave();
    void begin(Result<Opened> opened, Received hello);
    void take(uint32_t number, ByteSpan bytes);
    void take_in();
    bool take_aside(const Message& message);
    void throttle();
    void carry_out(Actions actions);
    void carry_out(StoreRecords& store);
    void sync_journal();
    void sync_beside(std::shared_ptr<journal::Inbound::BegunSync> begun);
    void begin_repair(const RepairBegins& point);
    void end_repair(const RepairBegins& point, const Json& told);
    void close_link();
    void close_sides();
    Equality::Events equality_events();
    void repair_asked(Status done);
    void answer(const Result<Lsn>& done, Answer answer);
    void fail(const Error& error);
    void tick();
    void unusable(const Status& done);
    void over(const Error& why);
    void settle();
    void tell_of(const Error& why, EventCode lost);
    void watch();
    StandbySaid standby() const;
    void tell_of_standby();
    void applied();

    Host& host_;
    const KeepRule rule_;
    const journal::VolumeId& volume_ = rule_.volume;
    const std::string &store_ = rule_.store, &peer_ = rule_.from;

    // Used by jobs alone, and by the destructor when there are none any more.
    std::shared_ptr<ReplicaJournal> journal_;
    std::optional<StoreChild> store_child_;
    std::optional<rewind::RepairPoint> repaired_to_;
    std::vector<std::string> onward_;

    const char* state_ = "waiting";
    std::string why_, unusable_;
    Losses losses_;
    StandbyNews standby_news_;
    std::optional<Result<Lsn>> settled_to_;  // all that was received, and is durable
    std::shared_ptr<Connection> connection_;
    std::optional<Receiver> receiver_;
    OrderedFrames frames_;
    std::optional<SessionKey> session_;  // which the source said that further connections may join
    std::array<std::shared_ptr<Connection>, HF_SIDE_STREAMS_MAX + 1> sides_;  // by number; the first connection, 0, is connection_
    std::shared_ptr<SyncLink> link_;  // during a repair
    Equality equality_;
    std::function<void(Status)> repair_asked_;  // who waits to hear that it will be repaired
    uint64_t waiting_bytes_ = 0;
    uint64_t upkeep_due_ns_ = 0;
    Loop::TimerId tick_ = 0;
    EdgeTotals totals_;

    const std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);  // the loop's thread alone
    std::atomic<Lsn> applied_{0};
    mutable std::mutex applied_mutex_;       // held by who changes it
    uint64_t times_moved_ = 0;       // by applied_mutex_: an answer from before is none about the store as it is
    StandbySaid standby_;            // by applied_mutex_
    std::atomic<bool> is_ending_{false}, is_told_{false};
    std::thread watcher_;
    Work sync_work_;  // waits for the disk while work_ takes in what comes
    Work work_;       // last: its jobs use the others
};

}  // namespace holdfast::replicator
