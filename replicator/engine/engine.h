// The engine of a host: what the configuration asks for, kept running; and what people ask of it (api.h, docs/engine.md).
//
// Thread rule: the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "replicator/engine/config.h"
#include "replicator/engine/control_gate.h"
#include "replicator/engine/guest.h"
#include "replicator/engine/host.h"
#include "replicator/engine/key_rotation.h"
#include "replicator/engine/maintenance.h"
#include "replicator/engine/pair.h"
#include "replicator/engine/remote_control.h"
#include "replicator/engine/replica_edge.h"
#include "replicator/engine/source_edge.h"
#include "replicator/engine/status.h"
#include "replicator/engine/work.h"
#include "replicator/notify/notifiers.h"
#include "replicator/trust/pairing_code.h"

namespace holdfast::replicator {

class Engine {
public:
    // Opens identity and list of peers in DIRECTORY, listens and begins. Errors: those of the configuration, permission, io,
    // busy (the address is taken).
    static Result<std::unique_ptr<Engine>> start(Loop& loop, const Clock& clock, const std::string& directory, std::string config_path);
    ~Engine();

    // Reads the configuration again and changes what it changes; the rest goes on undisturbed. A configuration that cannot be taken
    // changes nothing. `name` and `listen` take effect at the next start.
    Status reload();
    // REPLACED: the configuration leads to what this process may not reach (replicator/launch/outside.h); it is to end in order once it has answered.
    void set_replaced(std::function<void()> replaced) { replaced_ = std::move(replaced); }
    // Says so to whoever is told of events. It still runs.
    void announce_end() { host_.events->raise(EventCode::engine_ends); }

    // Who speaks HTTP with peers; until then none is served.
    void set_control(ControlGate::Adopt adopt) { gate_.set_adopt(std::move(adopt)); }
    Status permit(const std::string& peer, const std::string& method, const std::string& path, bool changes_trust) { return gate_.permit(peer, method, path, changes_trust); }
    // As open_remote().
    void open_control(const std::string& peer, std::function<void(Result<RemoteEnd>)> done) { open_remote(host_, resolver_, peer, std::move(done)); }

    // What may be asked. The table of routes (api.cc) says which members a request has; ANSWER is called once, perhaps later.
    using Request = std::map<std::string, std::string, std::less<>>;
    using Answer = std::function<void(Result<Json>)>;
    using Verb = void (Engine::*)(const Request& request, Answer answer);
    void status(const Request& request, Answer answer);
    void metrics(const Request& request, Answer answer);  // the text, as a JSON text
    void peers(const Request& request, Answer answer);
    void events(const Request& request, Answer answer);
    void offer_pairing(const Request& request, Answer answer);
    void pair(const Request& request, Answer answer);
    void revoke(const Request& request, Answer answer);
    void rotate_key(const Request& request, Answer answer);
    void forget(const Request& request, Answer answer);
    void prepare_maintenance(const Request& request, Answer answer);
    void end_maintenance(const Request& request, Answer answer);
    void suspend(const Request& request, Answer answer);
    void resume(const Request& request, Answer answer);
    void run_now(const Request& request, Answer answer);
    void compare(const Request& request, Answer answer);
    void repair(const Request& request, Answer answer);
    void reload(const Request& request, Answer answer);

private:
    Engine(Host host, std::string config_path);
    Status take_configuration();
    Status listen();
    void follow(const Config& config);
    void follow_sources(const Config& config);
    void follow_replicas(const Config& config);
    void retire(std::unique_ptr<ReplicaEdge> replica);
    Status greeted(const Peer& peer, std::shared_ptr<Connection> connection, Received& hello, FrameReader& frames);
    Status joined(const Peer& peer, std::shared_ptr<Connection> connection, const Join& join, FrameReader& frames);
    void serve_pairing(std::shared_ptr<Connection> connection);
    Status introduce(const Introduced& introduced);
    EngineStatus current() const;
    Introduction self() const { return {host_.name, config_.address}; }
    void trust_changed();
    KeyRotation::Callbacks key_callbacks();
    Maintenance::Callbacks maintenance_callbacks();
    void warn_of_unclaimed() const;
    bool is_sent(const journal::Volume& volume, std::string_view peer) const;

    void for_edge(const Request& request, Answer answer, const std::function<Status(SourceEdge&)>& change);

    Host host_;
    const std::string config_path_;
    std::function<void()> replaced_ = [] {};
    Config config_;
    ControlGate gate_;
    std::unique_ptr<KeyRotation> keys_;
    std::unique_ptr<Maintenance> maintenance_;
    std::unique_ptr<Guests> guests_;
    std::vector<std::unique_ptr<SourceEdge>> sources_;
    std::vector<std::unique_ptr<ReplicaEdge>> replicas_;
    std::vector<std::unique_ptr<ReplicaEdge>> retired_;  // no rule asks for them any more; their stores apply what is left
    std::optional<PairingOffer> offer_;
    Notifiers notifiers_;
    Work resolver_;
};

}  // namespace holdfast::replicator
