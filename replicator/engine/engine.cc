#include "replicator/engine/engine.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "base/text.h"
#include "replicator/engine/metrics.h"
#include "replicator/launch/outside.h"
#include "replicator/trust/private_file.h"

namespace holdfast::replicator {

namespace {

constexpr const char* peers_file = "/peers.json";

bool names(const SendRule& rule, const SourceEdge& edge) {
    return rule.to == edge.peer() && rule.volume == edge.volume();
}

bool names(const KeepRule& rule, const ReplicaEdge& edge) {
    return rule == edge.rule();
}

// A member of a request that may be left out.
Result<uint64_t> duration_in(const Engine::Request& request, const std::string& name, uint64_t fallback_ns) {
    const auto member = request.find(name);
    if (member == request.end()) return fallback_ns;
    const auto given = parse_duration_ns(member->second);
    if (!given) return Error{ErrorCode::invalid_argument, "`" + name + "` must be a time, as 90s, 15m, 2h or 7d"};
    return *given;
}

// The peers to whom the replica of RULE is sent on.
std::vector<std::string> onward_of(const Config& config, const KeepRule& rule) {
    std::vector<std::string> peers;
    for (const SendRule& send : config.send)
        if (sends_on(send, rule)) peers.push_back(send.to);
    return peers;
}

// Takes out the edges that no rule asks for any more.
template <typename Edge, typename Rule>
std::vector<std::unique_ptr<Edge>> take_unwanted(std::vector<std::unique_ptr<Edge>>& edges, const std::vector<Rule>& rules) {
    const auto unwanted = std::stable_partition(edges.begin(), edges.end(), [&](const auto& edge) { return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return names(rule, *edge); }); });
    std::vector<std::unique_ptr<Edge>> taken(std::make_move_iterator(unwanted), std::make_move_iterator(edges.end()));
    edges.erase(unwanted, edges.end());
    return taken;
}

template <typename Edge, typename Rule>
Edge* edge_of(const Rule& rule, const std::vector<std::unique_ptr<Edge>>& edges) {
    const auto found = std::find_if(edges.begin(), edges.end(), [&](const auto& edge) { return names(rule, *edge); });
    return found == edges.end() ? nullptr : found->get();
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(Loop& loop, const Clock& clock, const std::string& directory, std::string config_path) {
    Outside* const outside = Outside::instance();
    Config config = HF_TRY(outside ? outside->configuration(config_path) : load_config(config_path));
    const Identity identity = HF_TRY(Identity::load_or_make(directory));
    Peers peers = HF_TRY(Peers::load(directory + peers_file));
    Host host{loop, clock, config.name, identity, std::move(peers)};
    std::unique_ptr<Engine> engine(new Engine(std::move(host), std::move(config_path)));
    engine->config_ = config;
    engine->notifiers_.follow(config.notify);
    engine->keys_ = HF_TRY(KeyRotation::open(engine->host_, directory, engine->key_callbacks()));
    engine->host_.keys = engine->keys_.get();
    engine->maintenance_ = HF_TRY(Maintenance::open(engine->host_, directory, engine->maintenance_callbacks()));
    HF_TRY(engine->listen());
    engine->follow(config);
    engine->host_.events->raise(EventCode::engine_started, {.peer = config.name, .why = "its key is " + to_string(engine->host_.identity.fingerprint())});
    return engine;
}

Engine::Engine(Host host, std::string config_path)
    : host_(std::move(host)), config_path_(std::move(config_path)), gate_(host_, [this](std::string_view peer) { return config_.control_of(peer); }), notifiers_(host_.loop, host_.name), resolver_(host_.loop) {
    host_.events->set_listener([this](const Event& event) { return notifiers_.tell(event); });
}

Engine::~Engine() {
    host_.events->set_listener({});
    // Their stores apply what is left at the same time, not one after the other.
    for (const auto& edge : replicas_) edge->retire([] {});
}

Status Engine::listen() {
    if (config_.listen.empty()) return ok();
    Outside* const outside = Outside::instance();
    UniqueFd listener = outside ? outside->take_peer_listener() : UniqueFd();
    const bool is_launchers = static_cast<bool>(listener);
    if (!is_launchers) {
        const auto addresses = HF_TRY(resolve(config_.listen, true));
        listener = HF_TRY(listen_on(addresses.front()));
    }
    guests_ = std::make_unique<Guests>(
        host_, Guests::Callbacks{[this](const Peer& peer, auto connection, Received& hello, FrameReader& frames) { return greeted(peer, std::move(connection), hello, frames); },
                                 [this](const Peer& peer, auto connection, const Join& join, FrameReader& frames) { return joined(peer, std::move(connection), join, frames); },
                                 [this] { return offer_ && offer_->is_open(host_.clock.monotonic_ns()); },
                                 [this](auto connection) { serve_pairing(std::move(connection)); },
                                 [this](auto connection) { gate_.enter(std::move(connection)); }});
    guests_->welcome(std::move(listener), is_launchers);
    return ok();
}

// Edges whose rules stay as they are go on undisturbed.
void Engine::follow(const Config& config) {
    follow_sources(config);
    follow_replicas(config);
    warn_of_unclaimed();
}

void Engine::follow_sources(const Config& config) {
    take_unwanted(sources_, config.send);
    for (const SendRule& rule : config.send) {
        if (!edge_of(rule, sources_)) sources_.push_back(std::make_unique<SourceEdge>(host_, rule.volume, rule.to));
        SourceEdge& edge = *edge_of(rule, sources_);
        edge.set_limits(rule.limits), edge.set_streams(rule.streams), edge.set_schedule(rule.schedule);
    }
}

// One whose store or volume is still in the hands of a retired edge is made when that is over.
void Engine::follow_replicas(const Config& config) {
    for (auto& replica : take_unwanted(replicas_, config.keep)) retire(std::move(replica));
    for (const KeepRule& rule : config.keep) {
        const bool is_held = std::any_of(retired_.begin(), retired_.end(), [&](const auto& edge) { return edge->store() == rule.store || edge->volume() == rule.volume; });
        if (ReplicaEdge* edge = edge_of(rule, replicas_)) edge->set_onward(onward_of(config, rule));
        else if (!is_held) replicas_.push_back(std::make_unique<ReplicaEdge>(host_, rule, onward_of(config, rule)));
    }
}

void Engine::retire(std::unique_ptr<ReplicaEdge> replica) {
    ReplicaEdge* const edge = replica.get();
    retired_.push_back(std::move(replica));
    edge->retire([this, edge] {
        std::erase_if(retired_, [edge](const auto& one) { return one.get() == edge; });
        follow_replicas(config_);
    });
}

// Whether the configuration sends VOLUME to PEER, by whatever name. A name that leads nowhere now may be that of any volume.
bool Engine::is_sent(const journal::Volume& volume, std::string_view peer) const {
    return std::any_of(sources_.begin(), sources_.end(), [&](const auto& edge) {
        if (edge->peer() != peer) return false;
        const auto named = journal::find_volume(edge->volume());
        return !named || named->id == volume.id;
    });
}

// A journal that is kept for nobody fills up, and nobody would know why.
void Engine::warn_of_unclaimed() const {
    const auto volumes = journal::registered_volumes();
    if (!volumes) return log_warning("The volumes of this host cannot be listed: " + volumes.error().message + ".");
    for (const journal::Volume& volume : *volumes) {
        const auto peers = replicas_waited_for(volume);
        if (!peers) continue;
        for (const std::string& peer : *peers)
            if (!is_sent(volume, peer)) host_.events->raise(EventCode::journal_kept_for_nobody, {.volume = journal::name_of(volume), .peer = peer});
    }
}

Status Engine::reload() {
    const Status taken = take_configuration();
    if (taken) host_.events->raise(EventCode::configuration_taken);
    else host_.events->raise(EventCode::configuration_refused, {.why = taken.error().message});
    return taken;
}

Status Engine::take_configuration() {
    Outside* const outside = Outside::instance();
    if (outside && HF_TRY(outside->is_to_be_replaced())) return replaced_(), ok();
    Config config = HF_TRY(outside ? outside->configuration(config_path_) : load_config(config_path_));
    config.name = config_.name;
    config.listen = config_.listen;
    follow(config);
    notifiers_.follow(config.notify);
    config_ = std::move(config);
    return ok();
}

Status Engine::greeted(const Peer& peer, std::shared_ptr<Connection> connection, Received& hello, FrameReader& frames) {
    const auto& volume = std::get<Hello>(hello.message).volume;
    for (const auto& replica : replicas_) {
        if (replica->volume() != volume || replica->peer() != peer.name) continue;
        if (host_.is_in_maintenance) return Error{ErrorCode::busy, host_.maintenance_sentence()};
        replica->attach(std::move(connection), std::move(hello), std::move(frames));
        return ok();
    }
    for (const auto& edge : retired_)
        if (edge->volume() == volume && edge->peer() == peer.name) return Error{ErrorCode::busy, "the configuration of this replica was changed, and its store still applies what was received before"};
    return Error{ErrorCode::permission, "this host keeps no replica of volume " + journal::to_string(volume) + " from " + quoted(peer.name) + "; a [[keep]] in its configuration would say so"};
}

// Which of the peer's sessions is known by the key alone that it drew for it.
Status Engine::joined(const Peer& peer, std::shared_ptr<Connection> connection, const Join& join, FrameReader& frames) {
    for (const auto& replica : replicas_)
        if (replica->peer() == peer.name && replica->has_session(join.session)) return replica->join(std::move(connection), join, std::move(frames));
    return Error{ErrorCode::busy, "a connection of " + quoted(peer.name) + " names a session that is not there, or not yet"};
}

void Engine::trust_changed() {
    for (const auto& edge : sources_) edge->check_trust();
    for (const auto& edge : replicas_) edge->check_trust();
    gate_.check_trust();
}

KeyRotation::Callbacks Engine::key_callbacks() {
    const auto all = [this](auto change) {
        for (const auto& edge : sources_) change(*edge);
        for (const auto& edge : replicas_) change(*edge);
    };
    return {.tell = [all] { all([](auto& edge) { edge.tell_keys(); }); },
            .reconnect = [all] { all([](auto& edge) { edge.reconnect("the key of the host that was called was changed, and the connection is made anew"); }); },
            .retrust = [this] { trust_changed(); }};
}

Maintenance::Callbacks Engine::maintenance_callbacks() {
    const auto who = [](const auto& edges, auto behind) {
        std::vector<std::string> all;
        for (const auto& edge : edges)
            if (std::string sentence = behind(*edge); !sentence.empty()) all.push_back(std::move(sentence));
        return all;
    };
    return {.begin_draining = [this] { for (const auto& edge : sources_) edge->begin_draining(); },
            .undrained = [this, who] { return who(sources_, [](SourceEdge& edge) { return edge.undrained(); }); },
            .follow = [this] {
                for (const auto& edge : sources_) edge->check_hold();
                for (const auto& edge : replicas_) edge->check_hold();
            },
            .unsettled = [this, who] {
                auto all = who(sources_, [](SourceEdge& edge) { return edge.is_at_rest() ? std::string() : "the connection to " + quoted(edge.peer()) + " has not ended"; });
                for (std::string& sentence : who(replicas_, [](ReplicaEdge& edge) { return edge.unsettled(); })) all.push_back(std::move(sentence));
                return all;
            }};
}

void Engine::prepare_maintenance(const Request& request, Answer answer) {
    const auto timeout_ns = duration_in(request, "timeout", maintenance_timeout_ns_default);
    if (!timeout_ns) return answer(timeout_ns.error());
    if (Status begun = maintenance_->prepare(*timeout_ns); !begun) return answer(begun.error());
    answer(maintenance_->show());
}

void Engine::end_maintenance(const Request&, Answer answer) {
    if (Status done = maintenance_->done(); !done) return answer(done.error());
    answer(Json::object());
}

// A new value is saved before it is used, so a list that could not be saved is not used.
Status Engine::introduce(const Introduced& introduced) {
    Peers peers = host_.peers;
    const Peer* known = peers.find(introduced.key);
    if (known != nullptr && known->name == introduced.peer.name) {
        HF_TRY(peers.set_address(known->name, introduced.peer.address));
    } else {
        HF_TRY(peers.add({introduced.peer.name, {introduced.key}, introduced.peer.address}));
    }
    HF_TRY(peers.save());
    host_.peers = std::move(peers);
    host_.events->raise(EventCode::paired, {.peer = introduced.peer.name, .why = "its key is " + to_string(introduced.key)});
    return ok();
}

void Engine::serve_pairing(std::shared_ptr<Connection> connection) {
    if (!offer_) return connection->close({ErrorCode::unavailable, "no code is offered"});
    if (Status begun = offer_->begin(host_.clock.monotonic_ns()); !begun) return connection->close(begun.error());
    pair_over(host_, connection, PairingSide::Role::server, offer_->code(), self(), [this, connection](Result<Introduced> introduced) {
        Status done = introduced ? Status() : introduced.error();
        if (done && offer_) done = offer_->complete(host_.clock.monotonic_ns());
        if (done) done = introduce(*introduced);
        if (!done) {
            host_.events->raise(EventCode::pairing_failed, {.why = done.error().message});
            connection->close(done.error());
        }
    });
}

void Engine::offer_pairing(const Request&, Answer answer) {
    if (config_.listen.empty()) return answer(Error{ErrorCode::invalid_argument, "this host does not `listen`, so nobody can call it to be paired; offer the code on the other host"});
    auto code = PairingCode::make();
    if (!code) return answer(code.error());
    const std::string shown = code->show();
    offer_.emplace(std::move(*code), host_.clock.monotonic_ns());
    answer(Json{{"code", shown}, {"seconds", pairing_code_lifetime_ns / 1'000'000'000}, {"guesses", pairing_guesses_max}, {"listen", config_.listen}});
}

void Engine::pair(const Request& request, Answer answer) {
    const auto code = PairingCode::parse(request.at("code"));
    if (!code) return answer(Error{ErrorCode::invalid_argument, "that is no pairing code; it has " + std::to_string(pairing_code_letters) + " letters and digits, as the other host shows it"});
    const std::string address = request.at("address");
    const auto paired = [this, answer, address](Result<Introduced> introduced) {
        if (!introduced) return answer(introduced.error());
        if (introduced->peer.address.empty()) introduced->peer.address = address;
        if (Status kept = introduce(*introduced); !kept) return answer(kept.error());
        answer(Json{{"peer", introduced->peer.name}, {"key", to_string(introduced->key)}, {"address", introduced->peer.address}});
    };
    const auto dialed = [this, code = *code, paired](Result<UniqueFd> socket) {
        if (!socket) return paired(socket.error());
        auto channel = TlsChannel::client(host_.identity, Purpose::pairing, {});
        if (!channel) return paired(channel.error());
        // Holds itself until it is established or closed, which the events end.
        auto holder = std::make_shared<std::shared_ptr<Connection>>();
        *holder = Connection::start(host_.loop, std::move(*socket), std::move(*channel),
                                    {[this, holder, code, paired] { pair_over(host_, std::exchange(*holder, {}), PairingSide::Role::client, code, self(), paired); },
                                     {},
                                     [holder, paired](const Error& why) {
                                         holder->reset();
                                         paired(why);
                                     }});
    };
    resolver_.ask([address] { return resolve(address, false); },
                  [this, paired, dialed](Result<std::vector<SocketAddress>> addresses) {
                      if (!addresses) return paired(addresses.error());
                      dial(host_.loop, addresses->front(), dialed);
                  });
}

void Engine::peers(const Request&, Answer answer) {
    Json list = Json::array();
    for (const Peer& peer : host_.peers.list()) {
        Json keys = Json::array();
        for (const Fingerprint& key : peer.keys) keys.push_back(to_string(key));
        list.push_back({{"name", peer.name}, {"address", peer.address}, {"keys", keys}});
    }
    Json all{{"name", host_.name}, {"key", to_string(host_.identity.fingerprint())}, {"peers", list}};
    keys_->show(all);
    answer(std::move(all));
}

void Engine::rotate_key(const Request& request, Answer answer) {
    const auto within_ns = duration_in(request, "within", rotation_ns_default);
    if (!within_ns) return answer(within_ns.error());
    if (Status begun = keys_->begin(*within_ns); !begun) return answer(begun.error());
    Json told{{"key", to_string(host_.identity.fingerprint())}};
    keys_->show(told);
    answer(std::move(told));
}

void Engine::revoke(const Request& request, Answer answer) {
    Peers peers = host_.peers;
    Status done = peers.revoke(request.at("peer"));
    if (done) done = peers.save();
    if (!done) return answer(done.error());
    host_.peers = std::move(peers);
    trust_changed();
    host_.events->raise(EventCode::peer_revoked, {.peer = request.at("peer")});
    answer(Json::object());
}

void Engine::forget(const Request& request, Answer answer) {
    const std::string peer = request.at("peer");
    const auto volume = journal::find_volume(request.at("volume"));
    if (!volume) return answer(volume.error());
    if (is_sent(*volume, peer)) return answer(Error{ErrorCode::busy, "the configuration still sends to " + quoted(peer) + "; take its [[send]] out and reload first"});
    if (Status done = forget_replica(*volume, peer); !done) return answer(done.error());
    answer(Json::object());
}

// What is done to the edge that VOLUME and PEER name.
void Engine::for_edge(const Request& request, Answer answer, const std::function<Status(SourceEdge&)>& change) {
    const std::string volume = request.at("volume"), peer = request.at("peer");
    const auto edge = std::find_if(sources_.begin(), sources_.end(), [&](const auto& one) { return one->volume() == volume && one->peer() == peer; });
    if (edge == sources_.end())
        return answer(Error{ErrorCode::not_found, "the configuration sends no " + quoted(volume) + " to " + quoted(peer) + "; name them as it does"});
    if (Status done = change(**edge); !done) return answer(done.error());
    answer(Json::object());
}

void Engine::suspend(const Request& request, Answer answer) {
    for_edge(request, std::move(answer), [](SourceEdge& edge) { return edge.suspend(), ok(); });
}

void Engine::resume(const Request& request, Answer answer) {
    for_edge(request, std::move(answer), [](SourceEdge& edge) { return edge.resume(), ok(); });
}

void Engine::run_now(const Request& request, Answer answer) {
    for_edge(request, std::move(answer), [](SourceEdge& edge) { return edge.run_once(); });
}

// At either end. The answer is how many have ended before; the status tells of the next.
void Engine::compare(const Request& request, Answer answer) {
    const std::string volume = request.at("volume"), peer = request.at("peer");
    const auto ask = [&](auto& edge) {
        const uint64_t ended = edge.status().equality.asked;
        if (Status asked = edge.compare(); !asked) return answer(asked.error());
        answer(Json{{"ended", ended}});
    };
    for (const auto& edge : sources_)
        if (edge->volume() == volume && edge->peer() == peer) return ask(*edge);
    for (const auto& edge : replicas_)
        if (edge->is_named(volume) && edge->peer() == peer) return ask(*edge);
    answer(Error{ErrorCode::not_found, "the configuration neither sends " + quoted(volume) + " to " + quoted(peer) + " nor keeps it from there; name them as `holdfast engine status` does"});
}

void Engine::repair(const Request& request, Answer answer) {
    const std::string volume = request.at("volume"), peer = request.at("peer");
    const auto edge = std::find_if(replicas_.begin(), replicas_.end(), [&](const auto& one) { return one->is_named(volume) && one->peer() == peer; });
    if (edge == replicas_.end())
        return answer(Error{ErrorCode::not_found, "this host keeps no replica of " + quoted(volume) + " from " + quoted(peer) + "; a repair is asked for where the replica is, by its store or its volume's id"});
    (*edge)->repair([answer](Status done) {
        if (!done) return answer(done.error());
        answer(Json::object());
    });
}

void Engine::reload(const Request&, Answer answer) {
    if (Status done = reload(); !done) return answer(done.error());
    answer(Json::object());
}

EngineStatus Engine::current() const {
    EngineStatus status{.name = host_.name, .key = to_string(host_.identity.fingerprint()), .listen = config_.listen, .refused = guests_ ? guests_->refused() : 0};
    for (const auto& edge : sources_) status.edges.push_back(edge->status());
    for (const auto& edge : replicas_) status.edges.push_back(edge->status());
    return status;
}

void Engine::status(const Request&, Answer answer) {
    Json status = to_json(current());
    if (const Outside* outside = Outside::instance()) status["confined"] = outside->confined();
    status["notify"] = notifiers_.status();
    status["maintenance"] = maintenance_->show();
    answer(std::move(status));
}

void Engine::events(const Request& request, Answer answer) {
    const auto after = request.find("after");
    uint64_t number = 0;
    if (after != request.end()) {
        const char* const end = after->second.data() + after->second.size();
        if (const auto [rest, wrong] = std::from_chars(after->second.data(), end, number); wrong != std::errc() || rest != end)
            return answer(Error{ErrorCode::invalid_argument, "`after` must be a number, as events have it"});
    }
    answer(host_.events->after(number));
}

void Engine::metrics(const Request&, Answer answer) {
    answer(Json(metrics_text(current())));
}

}  // namespace holdfast::replicator
