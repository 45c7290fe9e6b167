#include "replicator/engine/source_edge.h"

#include <algorithm>

#include "base/log.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "journal/volume.h"
#include "replicator/engine/key_rotation.h"
#include "replicator/protocol/feed.h"

namespace holdfast::replicator {

namespace {

constexpr uint64_t source_term = 1;  // until hosts change roles
constexpr uint32_t watch_ms = 200;
// More than this is a link that is behind, and no batch that has just been given to the socket.
constexpr size_t link_backlog_bytes = 256 << 10;

// Why a session ended, as an error for whoever waits for it.
Error as_error(const Close& close) {
    return {code_of(close.reason), std::string(to_string(close.reason)) + ": " + close.sentence};
}

// Whether time alone may mend it.
bool needs_a_person(const Error& error) {
    return error.code == ErrorCode::permission || error.code == ErrorCode::unsupported || error.code == ErrorCode::foreign || error.code == ErrorCode::corrupt;
}

}  // namespace

SourceEdge::SourceEdge(Host& host, std::string volume, std::string peer)
    : host_(host), volume_(std::move(volume)), peer_(std::move(peer)), work_(host.loop), cursor_work_(host.loop) {
    look_around();
    prepare();
}

SourceEdge::~SourceEdge() {
    *is_alive_ = false;
    host_.loop.cancel(retry_);
    host_.loop.cancel(tick_);
    host_.loop.cancel(paced_);
    host_.loop.cancel(check_);
    if (connection_) connection_->abandon({ErrorCode::unavailable, "this replica is not served any more"});
    end_serving();
    is_ending_ = true;
    if (watcher_.joinable()) watcher_.join();
    if (place_) journal_->acknowledged().release(*place_);
}

void SourceEdge::prepare() {
    // The journal is opened in any case: what it keeps is told, whoever rests.
    if (const char* const state = held(); state != nullptr && journal_) return rest(state);
    is_at_rest_ = false;
    const Peer* peer = host_.peers.find(peer_);
    if (peer == nullptr) return over({ErrorCode::permission, "this host does not know a peer " + quoted(peer_) + "; `holdfast pair` introduces it"});
    if (peer->address.empty()) return over({ErrorCode::invalid_argument, "no address is known of peer " + quoted(peer_)});
    state_ = "preparing";
    work_.ask([journal = journal_, volume = volume_, name = peer_, address = peer->address] { return prepare(journal, volume, name, address); },
              [this](const Result<Prepared>& prepared) { connect(prepared); });
}

Result<SourceEdge::Prepared> SourceEdge::prepare(std::shared_ptr<SourceJournal> journal, const std::string& volume, const std::string& peer, const std::string& address) {
    if (!journal) {
        const journal::Volume known = HF_TRY(journal::find_volume(volume));
        journal = HF_TRY(SourceJournal::open(known, peer));
    }
    // The journal is watched even while nobody knows where the peer is: its volume may have no other replica.
    return Prepared{std::move(journal), resolve(address, false)};
}

void SourceEdge::connect(const Result<Prepared>& prepared) {
    if (prepared && !journal_) {
        journal_ = prepared->journal;
        place_ = journal_->acknowledged().claim(peer_);
        if (!place_) log_warning("More than " + std::to_string(journal::acknowledging_replicas_max) + " peers have replicas of " + quoted(volume_) + "; no fsync waits for the one on " + quoted(peer_) + ".");
        watcher_ = std::thread([this] { watch(); });
        if (is_once_) once_to_ = journal_->end();
    }
    if (held()) return over({ErrorCode::unavailable, "at rest"});
    if (!prepared) return over(prepared.error());
    if (!prepared->addresses) return over(prepared->addresses.error());
    state_ = "connecting";
    const auto& addresses = *prepared->addresses;
    address_ = addresses[attempts_++ % addresses.size()];
    dial(host_.loop, address_, [this, alive = is_alive_](Result<UniqueFd> socket) {
        if (*alive) connected(std::move(socket));
    });
}

void SourceEdge::connected(Result<UniqueFd> socket) {
    if (held()) return over({ErrorCode::unavailable, "at rest"});
    if (!socket) return over(socket.error());
    auto channel = TlsChannel::client(host_.identity, Purpose::link, [this](const Fingerprint& key) { return host_.is_key_of(key, peer_); });
    if (!channel) return over(channel.error());
    frames_ = FrameReader();
    is_tuned_ = false;
    packing_ = PackingLevel();
    connection_ = Connection::start(host_.loop, std::move(*socket), std::move(*channel),
                                    {[this] { established(); },
                                     [this](ByteSpan bytes) { take(bytes); },
                                     [this](const Error& why) { over(why); }});
}

void SourceEdge::take(ByteSpan bytes) {
    frames_.append(bytes);
    feed(frames_, sender_, host_.loop.now_ns(), [this](Actions actions) { carry_out(std::move(actions)); },
         [this](const Message& message) { return host_.keys->take(*connection_, peer_, message, source_term); });
}

void SourceEdge::established() {
    state_ = "greeting";
    // What the peer says meanwhile waits.
    connection_->pause();
    work_.ask([journal = journal_] { return journal->greeting(); }, [this](Result<Hello> self) { greet(std::move(self)); });
}

void SourceEdge::greet(Result<Hello> self) {
    if (!self) return connection_->close(self.error());
    sender_.emplace(*self, source_term, host_.loop.now_ns());
    carry_out(sender_->start(host_.loop.now_ns()));
    tell_keys();
    connection_->resume();
    tick();
}

void SourceEdge::carry_out(Actions actions) {
    for (Action& action : actions) {
        std::visit(Overloaded{
                       [&](Send& send) { this->send(send.message); },
                       [&](AskPosition& ask) { ask_position(ask.at); },
                       [&](ReadStream& what) { read(what); },
                       [&](SaveCursor& save) { cursor_wanted_ = std::max(cursor_wanted_, save.at); },
                       [&](Close& close) { connection_->close(as_error(close)); },
                       [&](OfferRepair&) { begin_repair(); },
                       [&](AskStore& ask) {
                           if (repair_) repair_->ask(ask.bytes);
                           else if (serving_) serving_->give(ask.bytes);
                       },
                       [&](ServeComparison& serve) { serve_comparison(serve.at); },
                       [&](EndServing&) { end_serving(); },
                       [&](NoteCompared& note) { note_compared(note.compared); },
                       [&](StepDown& down) {
                           host_.events->raise(EventCode::replica_superseded, {.volume = volume_, .peer = peer_, .why = "under the higher term " + std::to_string(down.term)});
                       },
                       [&](auto&) { fail({ErrorCode::unsupported, "the session asked for what only a replica does"}); },
                   },
                   action);
    }
    if (repair_ && sender_ && !sender_->is_over() && !sender_->is_repairing()) end_repair();
    if (sender_ && sender_->is_streaming()) {
        if (!has_streamed_) {
            ++totals_.sessions;
            host_.events->raise(EventCode::replica_served, {.volume = volume_, .peer = peer_});
        }
        state_ = "streaming";
        has_streamed_ = true;
        why_.clear();
        losses_.streams();
        heard();
    }
}

void SourceEdge::send(const Message& message) {
    if (std::holds_alternative<Records>(message)) return send_long(ready_frame_);
    const auto frame = host_.encode(message, source_term);
    pace_.sent(frame.size(), limit_now(), host_.loop.now_ns());
    std::holds_alternative<SyncBytes>(message) ? send_long(frame) : connection_->send(frame);
}

// On the further connection that has least to do, if there are any; the first one says that it is there.
void SourceEdge::send_long(ByteSpan frame) {
    const auto side = sides_ && frame.size() >= side_frame_bytes_min ? sides_->idlest() : std::nullopt;
    if (!side) return connection_->send(frame);
    connection_->send(host_.encode(Elsewhere{*side}, source_term));
    sides_->send(*side, frame);
}

// Looked at again and again, because a round trip is known when something went to and fro.
void SourceEdge::widen() {
    if (!sender_->may_have_side_streams() || connection_->is_closing()) return;
    const bool is_long = connection_->round_trip_ns() >= long_round_trip_ns;
    if (is_long && !std::exchange(is_tuned_, true)) connection_->tune_for_long_link();
    const uint32_t streams = streams_ > 0 ? streams_ : is_long || sides_ ? long_link_streams : 1;
    if (streams == 1) return;
    if (!sides_) {
        sides_ = std::make_unique<SideStreams>(host_, SideStreams::Session{.peer = peer_, .address = address_, .term = source_term, .is_link_long = is_long}, [this](const Error& why) {
            if (connection_) connection_->close(why);
        });
        connection_->send(host_.encode(Streams{sides_->key()}, source_term));
    }
    sides_->want(streams - 1);
}

size_t SourceEdge::waiting_bytes() const {
    return connection_->waiting_bytes() + (sides_ ? sides_->waiting_bytes() : 0);
}

void SourceEdge::ask_position(Lsn at) {
    work_.ask([journal = journal_, at] { return journal->position(at); },
              [this, at](Result<std::optional<Position>> position) {
                  if (!sender_) return;
                  if (!position) return fail(position.error());
                  carry_out(sender_->on_position(at, *position, host_.loop.now_ns()));
              });
}

void SourceEdge::begin_repair() {
    drop_repair();
    state_ = "repairing";
    host_.events->raise(EventCode::replica_compared, {.volume = volume_, .peer = peer_, .why = sender_->decision()->sentence});
    repair_ = std::make_unique<SourceRepair>(
        host_.loop, work_, journal_, journal::sync_socket(journal_->volume().id), sender_->decision()->name == unsound_case,
        SourceRepair::Events{[this](const SourceJournal::RepairOffer& made) { offer(made); },
                             [this](std::vector<std::byte> bytes) { carry_out(sender_->on_store_answer(std::move(bytes), host_.loop.now_ns())); },
                             [this] { return store_waits_ns(); },
                             [this](const Error& why) { fail(why); }});
}

// The replica needs what follows the moment, and nothing before, whatever it had acknowledged.
void SourceEdge::offer(const SourceJournal::RepairOffer& offer) {
    cursor_wanted_ = cursor_saved_ = offer.point.begin.lsn;
    carry_out(sender_->on_repair_offered(offer.point, offer.self, host_.loop.now_ns()));
}

void SourceEdge::end_repair() {
    state_ = "greeting";
    host_.events->raise(EventCode::replica_made_equal, {.volume = volume_, .peer = peer_, .why = human_bytes(repair_->moved_bytes()) + " of questions and answers"});
    drop_repair();
}

void SourceEdge::drop_repair() {
    if (repair_) totals_.repair_bytes += repair_->moved_bytes();
    repair_.reset();
}

// The link's limit holds for the answers as for the stream.
uint64_t SourceEdge::store_waits_ns() const {
    if (waiting_bytes() > sync_backlog_bytes_max) return sync_pause_ns;
    return pace_.wait_ns(host_.loop.now_ns());
}

// The store waits until it has applied the moment.
void SourceEdge::serve_comparison(Lsn at) {
    end_serving();
    serving_ = SyncLink::open(host_.loop, journal::sync_socket(journal_->volume().id), {{"role", "serve"}, {"at", at}},
                              {[](const Json&) {},
                               [this](std::vector<std::byte> bytes) { if (sender_) carry_out(sender_->on_store_answer(std::move(bytes), host_.loop.now_ns())); },
                               [this] { return connection_ ? store_waits_ns() : 0; },
                               [this](const Error& why) { fail_serving(why); }});
}

void SourceEdge::fail_serving(const Error& why) {
    end_serving();
    if (sender_) carry_out(sender_->on_comparison_failure(why.message, host_.loop.now_ns()));
}

void SourceEdge::end_serving() {
    if (!serving_) return;
    totals_.repair_bytes += serving_->moved_bytes();
    serving_->close();
    serving_.reset();
}

void SourceEdge::note_compared(const Compared& compared) {
    equality_.note(compared);
    if (compared.is_whole && !compared.has_failed && compared.differences > 0)
        host_.events->raise(EventCode::replica_found_different, {.volume = volume_, .peer = peer_, .why = summary(compared)});
}

Status SourceEdge::compare() {
    if (!sender_ || !sender_->is_streaming()) return Error{ErrorCode::unavailable, "the replica of " + quoted(volume_) + " on " + quoted(peer_) + " is away, so nothing can be compared" + (why_.empty() ? "" : ": " + why_)};
    if (!sender_->can_be_compared()) return Error{ErrorCode::unsupported, "the engine of " + quoted(peer_) + " is of an older version, which cannot compare a replica with its source; bring it to this one"};
    HF_TRY(equality_.ask());
    carry_out(sender_->ask_for_comparison(host_.loop.now_ns()));
    return ok();
}

void SourceEdge::read(const ReadStream& what) {
    const uint64_t limit = limit_now();
    const uint64_t wait_ns = pace_.wait_ns(host_.loop.now_ns());
    const size_t backlog = connection_->backlog_bytes() + (sides_ ? sides_->backlog_bytes() : 0);
    if (wait_ns == 0) return read_now(what, limit, backlog > link_backlog_bytes);
    paced_ = host_.loop.after(wait_ns, [this, what, limit] { read_now(what, limit, true); });
}

// Read and packed on the work's thread, while this one encrypts and sends the piece before.
void SourceEdge::read_now(const ReadStream& what, uint64_t limit, bool is_link_behind) {
    const PackingLevel::Choice choice = packing_.next(is_link_behind, host_.loop.now_ns());
    const uint32_t most = sides_ && sides_->joined() > 0 ? std::min(what.bytes_max, side_piece_bytes_max) : what.bytes_max;
    work_.ask([journal = journal_, from = what.from, bytes_max = Pace::piece_bytes(limit, most), choice, &clock = host_.clock] { return read_and_pack(*journal, from, bytes_max, choice, clock); },
              [this](Result<PackedPiece> piece) {
                  if (!sender_) return;
                  if (!piece) return fail(piece.error());
                  send_piece(std::move(*piece));
              });
}

Result<SourceEdge::PackedPiece> SourceEdge::read_and_pack(SourceJournal& journal, Lsn from, uint32_t bytes_max, PackingLevel::Choice choice, const Clock& clock) {
    PackedPiece piece{HF_TRY(journal.read(from, bytes_max)), {}, {}};
    const size_t bytes = piece.stream.records.bytes.size();
    if (bytes == 0) return piece;
    const uint64_t began_ns = clock.monotonic_ns();
    const int level = choice.level_for(bytes);
    Message message(std::move(piece.stream.records));
    piece.frame = encode_frame(message, {source_term, clock.realtime_ns(), level});
    piece.stream.records = std::move(std::get<Records>(message));
    piece.packed = {level, bytes, piece.frame.size(), clock.monotonic_ns() - began_ns};
    return piece;
}

void SourceEdge::send_piece(PackedPiece piece) {
    if (!piece.frame.empty()) {
        packing_.packed(piece.packed);
        totals_.stream_bytes += piece.packed.plain_bytes;
        pace_.sent(piece.frame.size(), limit_now(), host_.loop.now_ns());
    }
    ready_frame_ = std::move(piece.frame);
    Actions actions = sender_->on_read(std::move(piece.stream), host_.loop.now_ns());
    // Out of turn, so that the next piece is read and packed while this one is encrypted: its answer comes by the loop, so after all of these.
    const auto next = std::find_if(actions.begin(), actions.end(), [](const Action& action) { return std::holds_alternative<ReadStream>(action); });
    if (next != actions.end()) std::rotate(actions.begin(), next, next + 1);
    carry_out(std::move(actions));
    ready_frame_.clear();
}

void SourceEdge::fail(const Error& error) {
    if (sender_) carry_out(sender_->on_failure(Reason::storage, error.message, host_.loop.now_ns()));
}

void SourceEdge::tick() {
    if (!sender_) return;
    carry_out(sender_->on_tick(host_.loop.now_ns()));
    if (sender_) widen();
    save_cursor();
    if (sender_) tick_ = host_.loop.after(session_tick_ns, [this] { tick(); });
}

void SourceEdge::save_cursor() {
    const uint64_t now_ns = host_.loop.now_ns();
    if (cursor_wanted_ <= cursor_saved_ || now_ns < cursor_due_ns_) return;
    cursor_due_ns_ = now_ns + cursor_interval_ns;
    cursor_saved_ = cursor_wanted_;
    cursor_work_.ask([journal = journal_, at = cursor_saved_, history = journal_->history()] { return journal->save_cursor(at, history); },
                     [this](Status saved) {
                         if (!saved) log_warning("The cursor of replica " + quoted(peer_) + " could not be saved, so the journal keeps more than it must: " + saved.error().message + ".");
                     });
}

uint64_t SourceEdge::limit_now() const {
    const LocalTime now = local_time(host_.clock.realtime_ns());
    return limit_at(limits_, now.weekday, now.hour);
}

void SourceEdge::look_around() {
    check_ = host_.loop.after(look_around_ns, [this] { look_around(); });
    check_hold();
    if (!journal_) return;
    work_.ask([journal = journal_] { return journal->kept_percent(); }, [this](Result<unsigned> percent) {
        if (!percent) return;
        if (*percent >= journal_filling_percent && !is_filling_)
            host_.events->raise(EventCode::journal_filling, {.volume = volume_, .peer = peer_, .why = std::to_string(*percent) + " % of what it may have are kept"});
        is_filling_ = *percent >= (is_filling_ ? journal_relaxed_percent : journal_filling_percent);
    });
}

void SourceEdge::suspend() {
    is_suspended_ = true;
    check_hold();
}

void SourceEdge::resume() {
    is_suspended_ = false;
    check_hold();
}

// The state in which nothing is sent; null: nothing holds it.
const char* SourceEdge::held() const {
    if (host_.is_in_maintenance) return "maintenance";
    if (is_suspended_) return "suspended";
    return is_once_ || schedule_.is_open(local_time(host_.clock.realtime_ns())) ? nullptr : "waiting for its hours";
}

void SourceEdge::set_schedule(const Schedule& schedule) {
    schedule_ = schedule;
    check_hold();
}

Status SourceEdge::run_once() {
    if (host_.is_in_maintenance || is_suspended_) return Error{ErrorCode::busy, "nothing is sent to " + quoted(peer_) + ": it is at rest, as \"" + held() + "\""};
    is_once_ = true;
    once_to_.reset();
    if (journal_) once_to_ = journal_->end();
    check_hold();
    return ok();
}

void SourceEdge::check_once() {
    if (!is_once_ || !once_to_ || !durable_ || *durable_ < *once_to_) return;
    is_once_ = false;
    host_.loop.post([this, alive = is_alive_] {
        if (*alive) check_hold();
    });
}

void SourceEdge::check_hold() {
    const char* const state = held();
    if (state == nullptr) {
        if (std::exchange(is_at_rest_, false)) prepare();
        return;
    }
    host_.loop.cancel(retry_);
    if (is_at_rest_) return rest(state);
    if (sender_) {
        const bool is_maintenance = host_.is_in_maintenance;
        return carry_out(sender_->on_failure(is_maintenance ? Reason::maintenance : Reason::rest, is_maintenance ? host_.maintenance_sentence() : state, host_.loop.now_ns()));
    }
    if (connection_) return connection_->close({ErrorCode::unavailable, "at rest"});
    // What is under way on the way to a connection ends in over() when it comes back.
    if (state_ == std::string_view("waiting")) rest(state);
}

void SourceEdge::rest(const char* state) {
    is_at_rest_ = true;
    state_ = state;
    why_.clear();
}

void SourceEdge::begin_draining() {
    drain_to_.reset();
    if (journal_) drain_to_ = journal_->end();
}

std::string SourceEdge::undrained() {
    const std::string who = "the replica of " + quoted(volume_) + " on " + quoted(peer_);
    if (!journal_) return who + " is not known to have everything: " + (why_.empty() ? "the journal is being opened" : why_);
    if (!drain_to_) begin_draining();
    const std::string where = sender_ && sender_->is_streaming() ? "" : is_at_rest_ ? std::string(", and is ") + state_ : ", and is away" + (why_.empty() ? "" : ": " + why_);
    if (!durable_) return who + " has not said yet what it has" + where;
    return *durable_ >= *drain_to_ ? "" : who + " has not got the last " + human_bytes(*drain_to_ - *durable_) + " on its disk" + where;
}

void SourceEdge::over(const Error& why) {
    host_.loop.cancel(tick_);
    host_.loop.cancel(paced_);
    work_.forget();
    const bool was_repairing = repair_ != nullptr;
    drop_repair();
    end_serving();
    equality_.give_up("the stream was interrupted");
    sender_.reset();
    cursor_wanted_ = cursor_saved_ = 0;  // where the next greeting finds the replica may be before it
    totals_.add(connection_.get());
    if (sides_) sides_->add_to(totals_);
    sides_.reset();
    connection_.reset();
    if (const char* const state = held()) return rest(state);
    if (has_streamed_) retry_ns_ = retry_first_ns;
    tell_of(why, was_repairing ? EventCode::repair_broken_off : EventCode::replica_lost);
    why_ = why.message;
    state_ = "waiting";
    has_streamed_ = false;
    if (why.sys_errno == ECONNREFUSED) retry_ns_ = std::min(retry_ns_, retry_refused_ns);
    retry_ = host_.loop.after(retry_ns_, [this] { prepare(); });
    retry_ns_ = std::min(2 * retry_ns_, retry_longest_ns);
}

void SourceEdge::tell_of(const Error& why, EventCode lost) {
    switch (losses_.ended(why, host_.loop.now_ns())) {
        case Losses::Tell::nothing: return;
        case Losses::Tell::rest: return host_.events->raise(EventCode::replica_rests, {.volume = volume_, .peer = peer_, .why = why.message});
        case Losses::Tell::loss: return host_.events->raise(needs_a_person(why) ? EventCode::replica_refused : lost, {.volume = volume_, .peer = peer_, .why = why.message});
    }
}

void SourceEdge::tell_keys() {
    if (sender_ && connection_ && !connection_->is_closing()) host_.keys->greet(*connection_, peer_, source_term);
}

void SourceEdge::reconnect(const char* why) {
    if (connection_) connection_->close({ErrorCode::unavailable, why});
}

void SourceEdge::check_trust() {
    if (connection_ && connection_->channel().is_established() && !host_.is_key_of(connection_->channel().peer(), peer_))
        connection_->close({ErrorCode::permission, "the peer's key was revoked"});
}

// A thread of its own, because the journal's futex is no operation of the ring on the kernels that must be served.
void SourceEdge::watch() {
    Lsn known = 0;
    uint32_t changes = 0;
    uint64_t gaps = 0;
    while (!is_ending_) {
        const Lsn now = journal_->wait_published(known, watch_ms);
        if (const uint32_t changed = journal_->acknowledged().state.changes.load(); changed != changes) {
            changes = changed;
            host_.loop.post([this, alive = is_alive_] {
                if (*alive) tell_alone();
            });
        }
        if (const uint64_t seen = journal_->gap_state(); seen != gaps) {
            gaps = seen;
            host_.loop.post([this, alive = is_alive_] {
                if (*alive) tell_of_gaps();
            });
        }
        if (now == known && !journal_->has_gone_back()) continue;
        known = now;
        // One message at a time: the loop reads the newest value itself.
        if (is_told_.exchange(true)) continue;
        host_.loop.post([this, alive = is_alive_] {
            if (*alive) published();
        });
    }
}

void SourceEdge::published() {
    is_told_ = false;
    const Lsn end = journal_->published();
    if (journal_->has_gone_back()) return went_back();
    lag_.published(end, host_.loop.now_ns());
    if (sender_ && !sender_->is_over()) carry_out(sender_->on_published(end, host_.loop.now_ns()));
}

// A replica that is sent on, and whose own source sent it back: the next greeting sends those that it serves back as well.
void SourceEdge::went_back() {
    lag_ = LagMeter();
    durable_.reset();
    fail({ErrorCode::unavailable, "the replica here goes back with its own source"});
}

// What the replica said last.
void SourceEdge::heard() {
    const Ack& ack = sender_->acknowledged();
    if (place_) journal_->acknowledged().acknowledge(*place_, ack.received, ack.durable);
    durable_ = ack.durable;
    check_once();
    if (ack.applied == 0) return;  // it has not said yet
    applied_ = ack.applied;
    lag_.applied(ack.applied);
}

void SourceEdge::tell_alone() {
    const journal::DurabilityState& state = journal_->acknowledged().state;
    const uint32_t changes = state.changes.load();
    host_.alone_news->look(journal_->volume().id, volume_, changes, state.durability());
}

void SourceEdge::tell_of_gaps() {
    host_.gap_news->look(journal_->volume().id, volume_, journal_->gap());
}

EdgeStatus SourceEdge::status() const {
    EdgeStatus status{.role = "source", .volume = volume_, .peer = peer_, .state = state_, .why = why_};
    if (journal_) {
        const journal::DurabilityState& state = journal_->acknowledged().state;
        status.published = journal_->published();
        status.durability = journal::to_string(state.durability().mode);
        status.alone = state.is_alone() ? 1 : 0;
        status.times_alone = state.times_alone();
        status.waiting_fsyncs = state.waiting.load();
    }
    status.durable = durable_;
    status.applied = applied_;
    status.lag_ns = lag_.lag_ns(host_.loop.now_ns());
    if (sender_ && sender_->is_streaming()) {
        status.sent = sender_->sent();
        status.received = sender_->acknowledged().received;
        status.streams = 1 + (sides_ ? sides_->joined() : 0);
        status.packing_permille = packing_.permille();
        if (status.packing_permille) status.packing_level = packing_.level();
    }
    if (sender_ && sender_->decision()) status.handshake = sender_->decision()->name;
    status.equality = equality_;
    status.totals = totals_;
    if (repair_) status.totals.repair_bytes += repair_->moved_bytes();
    status.totals.add(connection_.get());
    if (sides_) sides_->add_to(status.totals);
    return status;
}

}  // namespace holdfast::replicator
