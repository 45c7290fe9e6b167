#include "replicator/engine/replica_edge.h"

#include <chrono>

#include "base/json.h"
#include "base/json_socket.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "journal/segment.h"
#include "replicator/engine/key_rotation.h"
#include "replicator/protocol/feed.h"

namespace holdfast::replicator {

namespace {

constexpr uint64_t wait_applied_ms = 1000;
constexpr auto store_pause = std::chrono::milliseconds(200);

// Whose fault it is that something could not be stored.
Reason reason_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::corrupt:
        case ErrorCode::foreign:
        case ErrorCode::invalid_argument: return Reason::protocol;
        case ErrorCode::unsupported: return Reason::unsupported;
        default: return Reason::storage;
    }
}

}  // namespace

ReplicaEdge::ReplicaEdge(Host& host, const KeepRule& rule, std::vector<std::string> onward)
    : host_(host), rule_(rule), onward_(std::move(onward)), equality_(host.loop, journal::sync_socket(volume_), rule.verify, equality_events()), sync_work_(host.loop), work_(host.loop) {
    watcher_ = std::thread([this] { watch(); });
    if (host_.is_in_maintenance) state_ = "maintenance";
    // What was received before is applied whether the source comes or not.
    work_.ask([this] { return open_existing(); }, [this](Status done) {
        unusable(done);
    });
    work_.ask([this] { return begun_round(); }, [this](const Result<std::optional<Round>>& round) {
        if (round && *round) equality_.go_on_with(**round);
    });
    tick();
}

ReplicaEdge::~ReplicaEdge() {
    leave();
    work_.finish();
    end_store();
}

void ReplicaEdge::retire(std::function<void()> ended) {
    leave();
    work_.forget();
    work_.ask([this] { return end_store(), ok(); }, [ended = std::move(ended)](const Status&) { ended(); });
}

void ReplicaEdge::leave() {
    *is_alive_ = false;
    host_.loop.cancel(tick_);
    close_link();
    equality_.abandon();
    close_sides();
    if (connection_) connection_->abandon({ErrorCode::unavailable, "this replica is not kept here any more"});
    connection_.reset();
    repair_asked(Error{ErrorCode::unavailable, "this replica is not kept here any more"});
    sync_work_.forget();
    is_ending_ = true;
}

void ReplicaEdge::end_store() {
    if (watcher_.joinable()) watcher_.join();
    if (store_child_) store_child_->end();
    store_child_.reset();
}

void ReplicaEdge::attach(std::shared_ptr<Connection> connection, Received hello, FrameReader frames) {
    if (connection_) {
        connection_->abandon({ErrorCode::unavailable, "a newer connection of the same source took its place"});
        over({ErrorCode::unavailable, "a newer connection took its place"});
    }
    connection_ = std::move(connection);
    frames_ = OrderedFrames(std::move(frames));
    connection_->set_events({{}, [this](ByteSpan bytes) { take(0, bytes); }, [this](const Error& why) { over(why); }});
    connection_->pause();
    state_ = "greeting";
    const Hello& greeting = std::get<Hello>(hello.message);
    work_.ask([this, segment_bytes = greeting.segment_bytes] { return open(segment_bytes); },
              [this, hello = std::move(hello)](Result<Opened> opened) mutable { begin(std::move(opened), std::move(hello)); });
}

Status ReplicaEdge::open_existing() {
    const auto known = journal::load_volume(store_);
    if (!known && known.error().code == ErrorCode::not_found) return ok();  // made when the source has said how
    if (!known) return known.error();
    HF_TRY(open(known->segment_bytes));
    return ok();
}

Result<std::optional<Round>> ReplicaEdge::begun_round() {
    auto store = HF_TRY(open_disk(store_));
    return load_equality(*store);
}

void ReplicaEdge::set_onward(std::vector<std::string> peers) {
    work_.ask(
        [this, peers = std::move(peers)]() -> Status {
            onward_ = peers;
            return journal_ ? journal_->keep_for(onward_) : ok();
        },
        [this](Status done) {
            unusable(done);
        });
}

Result<ReplicaEdge::Opened> ReplicaEdge::open(uint64_t segment_bytes) {
    // What a failed sync left is only known to a new one.
    if (journal_ && journal_->inbound().is_fenced()) journal_.reset();
    if (!journal_) journal_ = HF_TRY(ReplicaJournal::open(store_, volume_, segment_bytes));
    HF_TRY(journal_->keep_for(onward_));
    if (!store_child_) store_child_ = HF_TRY(StoreChild::start(rule_));
    const Hello self = HF_TRY(journal_->greeting());
    note_repair();
    return Opened{self, journal_->term()};
}

Status ReplicaEdge::keep_up() {
    if (store_child_ && store_child_->has_ended()) {
        host_.loop.post([this, alive = is_alive_, how = store_child_->describe_end()] {
            if (*alive) host_.events->raise(EventCode::store_died, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_, .why = how});
        });
        store_child_.reset();
    }
    if (!journal_) return ok();
    if (!store_child_) store_child_ = HF_TRY(StoreChild::start(rule_));
    return journal_->release();
}

Result<Hello> ReplicaEdge::take_back(Lsn at) {
    if (store_child_) store_child_->end();
    store_child_.reset();
    moved_to(std::min(applied_.load(), at));
    HF_TRY(journal_->take_back(at));  // when it fails, keep_up() starts the service again
    store_child_ = HF_TRY(StoreChild::start(rule_));
    return journal_->greeting();
}

// The store has jumped to another moment, back or on.
void ReplicaEdge::moved_to(Lsn at) {
    std::lock_guard lock(applied_mutex_);
    ++times_moved_;
    applied_ = at;
}

Result<Hello> ReplicaEdge::repaired(Lsn at) {
    const Hello self = HF_TRY(journal_->repaired(at));
    note_repair();
    return self;
}

// Also of a repair whose end nobody heard, because the session had broken off when the store said so.
void ReplicaEdge::note_repair() {
    const auto& point = journal_->begun_anew();
    if (!point || point == repaired_to_) return;
    repaired_to_ = point;
    moved_to(point->at);
}

void ReplicaEdge::begin(Result<Opened> opened, Received hello) {
    if (!opened) {
        connection_->send(host_.encode(Goodbye{Reason::storage, opened.error().message.substr(0, HF_FRAME_SENTENCE_BYTES_MAX)}, hello.term));
        return connection_->close(opened.error());
    }
    const uint64_t now_ns = host_.loop.now_ns();
    receiver_.emplace(opened->self, opened->term, now_ns);
    carry_out(receiver_->start(now_ns));
    carry_out(receiver_->on_message(std::move(hello), now_ns));
    tell_keys();
    take_in();  // what came with the greeting
}

Status ReplicaEdge::join(std::shared_ptr<Connection> connection, const Join& join, FrameReader frames) {
    if (frames_.is_open(join.number)) return Error{ErrorCode::busy, "a session has a connection of that number already"};
    connection->set_events({{}, [this, number = join.number](ByteSpan bytes) { take(number, bytes); },
                            // Messages may have been lost in it; where the session goes on is known.
                            [this](const Error& why) { connection_->close({why.code, "a further connection of the session was lost: " + why.message}); }});
    connection->send(host_.encode(Joined{join.number}, receiver_->term()));
    sides_[join.number] = std::move(connection);
    frames_.open(join.number, std::move(frames));
    return ok();
}

void ReplicaEdge::take(uint32_t number, ByteSpan bytes) {
    frames_.append(number, bytes);
    take_in();
}

void ReplicaEdge::take_in() {
    feed(frames_, receiver_, host_.loop.now_ns(), [this](Actions actions) { carry_out(std::move(actions)); },
         [this](const Message& message) { return take_aside(message); });
    throttle();
}

bool ReplicaEdge::take_aside(const Message& message) {
    if (const auto* streams = std::get_if<Streams>(&message)) return session_ = streams->session, true;
    return host_.keys->take(*connection_, peer_, message, receiver_->term());
}

// Nothing is read while too much waits for the disk, and of a connection that is ahead of the others no more than its next message.
void ReplicaEdge::throttle() {
    if (!connection_) return;
    const auto let = [&](Connection& connection, uint32_t number) {
        waiting_bytes_ > waiting_bytes_max || !frames_.has_room(number) ? connection.pause() : connection.resume();
    };
    let(*connection_, 0);
    for (uint32_t number = 1; number < sides_.size(); ++number)
        if (sides_[number]) let(*sides_[number], number);
}

void ReplicaEdge::carry_out(Actions actions) {
    for (Action& action : actions) {
        std::visit(Overloaded{
                       [&](Send& send) { connection_->send(host_.encode(send.message, receiver_->term())); },
                       [&](AskPosition& ask) {
                           work_.ask([this, at = ask.at] { return journal_->position(at); },
                                     [this, at = ask.at](Result<std::optional<Position>> position) {
                                         if (!receiver_) return;
                                         if (!position) return fail(position.error());
                                         carry_out(receiver_->on_position(at, *position, host_.loop.now_ns()));
                                     });
                       },
                       [&](PersistTerm& persist) {
                           work_.ask([this, term = persist.term] { return journal_->persist_term(term); }, [this](Status done) { if (!done) fail(done.error()); });
                       },
                       [&](BeginSegment& begin) {
                           work_.ask([this, header = std::move(begin.header)] { return journal_->inbound().begin_segment(header); },
                                     [this](Status done) { if (!done) fail(done.error()); });
                       },
                       [&](StoreRecords& store) { carry_out(store); },
                       [&](SyncJournal&) { sync_journal(); },
                       [&](RewindTo& to) {
                           state_ = "going back";
                           host_.events->raise(EventCode::replica_goes_back, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_, .why = "from address " + std::to_string(to.at) + " on"});
                           work_.ask([this, at = to.at] { return take_back(at); },
                                     [this](Result<Hello> self) {
                                         if (!receiver_) return;
                                         if (!self) return fail(self.error());
                                         carry_out(receiver_->on_rewound(*self, host_.loop.now_ns()));
                                     });
                       },
                       [&](BeginRepair& begin) { begin_repair(begin.point); },
                       [&](GiveStore& give) { link_ ? link_->give(give.bytes) : equality_.give(give.bytes); },
                       [&](WantComparison&) { equality_.ask(); },
                       [&](BreakComparison& broken) { equality_.broken("the source: " + broken.why); },
                       [&](Close& close) { connection_->close({code_of(close.reason), std::string(to_string(close.reason)) + ": " + close.sentence}); },
                       [&](auto&) { fail({ErrorCode::unsupported, "the session asked for what only a source does"}); },
                   },
                   action);
    }
    if (receiver_ && receiver_->is_streaming() && state_ != std::string_view("streaming")) {
        state_ = "streaming";
        why_.clear();
        losses_.streams();
        ++totals_.sessions;
        host_.events->raise(EventCode::source_connected, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_});
        // The source must hear of what was applied before; where nothing more comes, nothing would say so.
        carry_out(receiver_->on_applied(applied_, host_.loop.now_ns()));
    }
}

void ReplicaEdge::carry_out(StoreRecords& store) {
    const uint64_t bytes = store.records.bytes.size();
    totals_.stream_bytes += bytes;
    waiting_bytes_ += bytes;
    work_.ask(
        [this, records = std::move(store.records)]() -> Result<Lsn> {
            HF_TRY(journal_->inbound().append(records.bytes));
            return journal_->inbound().received();
        },
        [this, bytes](Result<Lsn> received) {
            waiting_bytes_ -= bytes;
            throttle();
            answer(received, &Receiver::on_stored);
        });
}

// With nothing behind it the shortest way is best: an fsync of the source's may be waiting.
void ReplicaEdge::sync_journal() {
    const auto synced = [this](Result<Lsn> durable) { answer(durable, &Receiver::on_synced); };
    if (waiting_bytes_ == 0) return work_.ask([this] { return journal_->sync(); }, synced);
    work_.ask([this] { return journal_->begin_sync(); },
              [this, synced](std::shared_ptr<journal::Inbound::BegunSync> begun) {
                  if (!begun) return work_.ask([this] { return journal_->sync(); }, synced);
                  sync_beside(std::move(begun));
              });
}

void ReplicaEdge::sync_beside(std::shared_ptr<journal::Inbound::BegunSync> begun) {
    // How it went is asked for by end_sync(), in the thread that the journal belongs to.
    sync_work_.ask([begun = std::move(begun)] { return begun->run().has_value(); },
                   [this](bool) {
                       work_.ask([this] { return journal_->end_sync(); }, [this](Result<Lsn> durable) { answer(durable, &Receiver::on_synced); });
                   });
}

void ReplicaEdge::begin_repair(const RepairBegins& point) {
    state_ = "repairing";
    host_.events->raise(EventCode::repair_begins, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_});
    const Json request = {{"role", "repair"},
                          {"point", rewind::to_json(rewind::RepairPoint{point.at, point.time_ns, point.begin.lsn, point.begin.chain})},
                          {"accept_deletions", rule_.accept_deletions},
                          {"trust_times", rule_.trust_times}};
    link_ = SyncLink::open(host_.loop, journal::sync_socket(volume_), request,
                           {[this, point](const Json& told) { end_repair(point, told); },
                            [this](std::vector<std::byte> bytes) { carry_out(receiver_->on_store_question(std::move(bytes), host_.loop.now_ns())); },
                            [this] { return connection_->waiting_bytes() > sync_backlog_bytes_max ? sync_pause_ns : 0; },
                            [this](const Error& why) { fail(why); }});
}

void ReplicaEdge::end_repair(const RepairBegins& point, const Json& told) {
    if (!told.contains("done")) return fail({ErrorCode::io, "the store service said something else than that the repair is done: " + told.dump()});
    const Json& done = told["done"];
    const std::string evidence = done.contains("sentence") && done["sentence"].is_string() ? done["sentence"].get<std::string>() : done.dump();
    close_link();  // now: that the service closes its end as well is no failure
    work_.ask([this, at = point.at] { return repaired(at); },
              [this, evidence](Result<Hello> self) {
                  if (!receiver_) return;
                  if (!self) return fail(self.error());
                  state_ = "greeting";
                  host_.events->raise(EventCode::repair_done, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_, .why = evidence});
                  carry_out(receiver_->on_repaired(*self, host_.loop.now_ns()));
              });
}

void ReplicaEdge::close_link() {
    if (!link_) return;
    totals_.repair_bytes += link_->moved_bytes();
    link_->close();
    link_.reset();
}

Status ReplicaEdge::compare() {
    if (!receiver_ || !receiver_->is_streaming())
        return Error{ErrorCode::unavailable, "the source of the replica in " + quoted(store_) + " is away, so nothing can be compared" + (why_.empty() ? "" : ": " + why_)};
    if (!receiver_->is_source_able_to_compare())
        return Error{ErrorCode::unsupported, "the engine of " + quoted(peer_) + " is of an older version, which cannot compare a replica with its source; bring it to this one"};
    return equality_.ask_here();
}

void ReplicaEdge::repair(std::function<void(Status)> done) {
    const std::string what = "the replica in " + quoted(store_);
    if (host_.is_in_maintenance) return done(Error{ErrorCode::busy, host_.maintenance_sentence()});
    if (link_ || repair_asked_) return done(Error{ErrorCode::busy, what + " is being repaired already"});
    repair_asked_ = std::move(done);
    work_.ask([this, what]() -> Status {
                  if (journal_) return journal_->want_repair();
                  if (const auto known = journal::load_volume(store_); !known && known.error().code == ErrorCode::not_found)
                      return Error{ErrorCode::unavailable, "nothing has come to " + what + " yet that could be repaired"};
                  HF_TRY(ReplicaJournal::want_repair(store_));
                  return open_existing();
              },
              [this](Status wanted) {
                  const bool is_coming = wanted.has_value();
                  repair_asked(std::move(wanted));
                  if (is_coming) reconnect("a repair of the replica was asked for");
              });
}

void ReplicaEdge::repair_asked(Status done) {
    if (const auto asked = std::exchange(repair_asked_, {})) asked(std::move(done));
}

Equality::Events ReplicaEdge::equality_events() {
    return {.can_compare = [this] { return receiver_ && receiver_->can_compare(); },
            .begun = [this](Lsn at) { carry_out(receiver_->on_comparison(at, host_.loop.now_ns())); },
            .question = [this](std::vector<std::byte> bytes) { if (receiver_) carry_out(receiver_->on_store_question(std::move(bytes), host_.loop.now_ns())); },
            .ended = [this](const Compared& compared) {
                if (receiver_) carry_out(receiver_->on_compared(compared, host_.loop.now_ns()));
                if (compared.differences > 0 && compared.is_whole)
                    host_.events->raise(EventCode::replica_differs, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_, .why = summary(compared)});
            },
            .wait_ns = [this] { return connection_ && connection_->waiting_bytes() > sync_backlog_bytes_max ? sync_pause_ns : 0; },
            .save = [this](const Round& round) {
                work_.ask([store = store_, round]() -> Status {
                    auto disk = HF_TRY(open_disk(store));
                    return save_equality(*disk, round);
                }, [](const Status&) {});
            }};
}

void ReplicaEdge::answer(const Result<Lsn>& done, Answer answer) {
    if (!receiver_) return;
    if (!done) return fail(done.error());
    carry_out(((*receiver_).*answer)(*done, host_.loop.now_ns()));
}

void ReplicaEdge::fail(const Error& error) {
    if (receiver_ && !receiver_->is_over()) carry_out(receiver_->on_failure(reason_of(error), error.message, host_.loop.now_ns()));
}

void ReplicaEdge::tick() {
    const uint64_t now_ns = host_.loop.now_ns();
    if (receiver_) carry_out(receiver_->on_tick(now_ns));
    equality_.tick();
    if (now_ns >= upkeep_due_ns_) {
        tell_of_standby();
        upkeep_due_ns_ = now_ns + upkeep_interval_ns;
        work_.ask([this] { return keep_up(); }, [this](Status done) {
            unusable(done);
        });
    }
    tick_ = host_.loop.after(session_tick_ns, [this] { tick(); });
}

StandbySaid ReplicaEdge::standby() const {
    std::lock_guard lock(applied_mutex_);
    return standby_;
}

void ReplicaEdge::tell_of_standby() {
    if (const auto news = standby_news_.look(standby(), host_.loop.now_ns()))
        host_.events->raise(news->code, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_, .why = news->why});
}

// The same is tried every two seconds, and told once.
void ReplicaEdge::unusable(const Status& done) {
    const std::string why = done ? "" : done.error().message;
    if (!done && why != unusable_) host_.events->raise(EventCode::replica_unusable, {.volume = journal::to_string(volume_), .peer = peer_, .store = store_, .why = why});
    unusable_ = why;
}

void ReplicaEdge::over(const Error& why) {
    work_.forget();
    repair_asked({Error{ErrorCode::unavailable, "the stream broke just now, and whether a repair will come is not known; ask again"}});
    sync_work_.forget();
    const EventCode lost = link_ ? EventCode::repair_failed : EventCode::source_lost;
    close_link();
    equality_.abandon();
    receiver_.reset();
    totals_.add(connection_.get());
    connection_.reset();
    close_sides();
    waiting_bytes_ = 0;
    if (host_.is_in_maintenance) return settle();
    state_ = "waiting";
    tell_of(why, lost);
    why_ = why.message;
}

void ReplicaEdge::close_sides() {
    session_.reset();
    for (auto& side : sides_) {
        if (!side) continue;
        totals_.add(side.get());
        side->abandon({ErrorCode::unavailable, "the session is over"});
        side.reset();
    }
}

void ReplicaEdge::tell_of(const Error& why, EventCode lost) {
    const Losses::Tell tell = losses_.ended(why, host_.loop.now_ns());
    if (tell == Losses::Tell::nothing) return;
    host_.events->raise(tell == Losses::Tell::rest ? EventCode::source_rests : lost,
                        {.volume = journal::to_string(volume_), .peer = peer_, .store = store_, .why = why.message});
}

void ReplicaEdge::check_hold() {
    if (!host_.is_in_maintenance) {
        if (!connection_) state_ = "waiting";
        return;
    }
    if (receiver_ && !receiver_->is_over()) return carry_out(receiver_->on_failure(Reason::maintenance, host_.maintenance_sentence(), host_.loop.now_ns()));
    if (connection_) return connection_->close({ErrorCode::busy, host_.maintenance_sentence()});
    settle();
}

// Asked for behind all that the connection brought.
void ReplicaEdge::settle() {
    state_ = "maintenance";
    why_.clear();
    settled_to_.reset();
    work_.ask(
        [this]() -> Result<Lsn> {
            if (!journal_) return Lsn{0};
            HF_TRY(journal_->inbound().sync());
            return journal::moment_of(journal_->inbound().received(), journal_->volume().segment_bytes);
        },
        [this](Result<Lsn> received) { settled_to_ = std::move(received); });
}

std::string ReplicaEdge::unsettled() const {
    const std::string what = "the replica in " + quoted(store_);
    if (connection_ || !settled_to_) return what + " is still taking in what came";
    if (!*settled_to_) return what + " could not be made durable: " + settled_to_->error().message;
    const Lsn received = **settled_to_;
    // What is to wait before it is applied waits over a reboot as well.
    return rule_.delay_ns > 0 || applied_ >= received ? "" : what + " has not applied the last " + human_bytes(received - applied_);
}

void ReplicaEdge::tell_keys() {
    if (receiver_ && connection_ && !connection_->is_closing()) host_.keys->greet(*connection_, peer_, receiver_->term());
}

void ReplicaEdge::reconnect(const char* why) {
    if (connection_) connection_->close({ErrorCode::unavailable, why});
}

void ReplicaEdge::check_trust() {
    if (connection_ && !host_.is_key_of(connection_->channel().peer(), peer_)) connection_->close({ErrorCode::permission, "the peer's key was revoked"});
}

// Asks the store service how far it is: a call that waits there, so that the answer comes when there is one.
void ReplicaEdge::watch() {
    const auto times = [this] {
        std::lock_guard lock(applied_mutex_);
        return times_moved_;
    };
    while (!is_ending_) {
        const uint64_t asked = times();
        auto answer = json_call(journal::store_socket(volume_), {{"verb", "wait"}, {"lsn", applied_ + 1}, {"timeout_ms", wait_applied_ms}});
        const auto now = answer ? number_or(*answer, "applied", 0) : Lsn{0};
        if (answer) {
            std::lock_guard lock(applied_mutex_);
            standby_ = standby_said(*answer);
        }
        if (now <= applied_) {
            // No service yet, or one that has just been opened anew.
            if (!answer) std::this_thread::sleep_for(store_pause);
            continue;
        }
        {
            std::lock_guard lock(applied_mutex_);
            if (asked != times_moved_) continue;
            applied_ = now;
        }
        if (is_told_.exchange(true)) continue;
        host_.loop.post([this, alive = is_alive_] {
            if (*alive) applied();
        });
    }
}

void ReplicaEdge::applied() {
    is_told_ = false;
    if (receiver_ && receiver_->is_streaming()) carry_out(receiver_->on_applied(applied_, host_.loop.now_ns()));
}

EdgeStatus ReplicaEdge::status() const {
    EdgeStatus status{.role = "replica", .volume = journal::to_string(volume_), .peer = peer_, .store = store_, .state = state_, .why = why_};
    if (applied_ > 0) status.applied = applied_.load();
    if (receiver_ && receiver_->is_streaming()) {
        status.received = receiver_->progress().received;
        status.durable = receiver_->progress().durable;
        status.published = receiver_->source_published();
    }
    status.totals = totals_;
    const StandbySaid standby = this->standby();
    status.standby = standby.state;
    status.standby_why = standby.why;
    if (standby.position > 0) status.standby_position = standby.position;
    status.equality = equality_.status();
    if (link_) status.totals.repair_bytes += link_->moved_bytes();
    status.totals.add(connection_.get());
    for (const auto& side : sides_) status.totals.add(side.get());
    return status;
}

}  // namespace holdfast::replicator
