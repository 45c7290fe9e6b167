#include "replicator/engine/remote_control.h"

#include <memory>
#include <utility>

#include "base/text.h"
#include "replicator/engine/dial.h"
#include "replicator/engine/http_exchange.h"

namespace holdfast::replicator {

namespace {

std::string engine_of(const std::string& peer) {
    return "the engine of " + quoted(peer);
}

Error unreachable(const std::string& peer, const Error& why) {
    const bool is_certain = why.code == ErrorCode::permission || why.code == ErrorCode::unsupported || why.code == ErrorCode::foreign;
    return {is_certain ? why.code : ErrorCode::unavailable, engine_of(peer) + " cannot be asked: " + why.message};
}

// One way to a peer, from its address to a tunnel. Holds itself until it is there or came to nothing.
class Opening : public std::enable_shared_from_this<Opening> {
public:
    Opening(Host& host, std::string peer, std::function<void(Result<RemoteEnd>)> done) : host_(host), peer_(std::move(peer)), done_(std::move(done)) {}

    void dial_to(const Result<std::vector<SocketAddress>>& addresses) {
        if (!addresses) return fail(addresses.error());
        dial(host_.loop, addresses->front(), [self = shared_from_this()](Result<UniqueFd> socket) { self->greet(std::move(socket)); });
    }

private:
    void greet(Result<UniqueFd> socket) {
        if (!socket) return fail(socket.error());
        // By value: a handshake may outlast whoever asked.
        auto channel = TlsChannel::client(host_.identity, Purpose::control, [&host = host_, peer = peer_](const Fingerprint& key) { return host.is_key_of(key, peer); });
        if (!channel) return fail(channel.error());
        connection_ = Connection::start(host_.loop, std::move(*socket), std::move(*channel),
                                        {[self = shared_from_this()] { self->established(); }, {}, [self = shared_from_this()](const Error& why) { self->fail(why); }});
    }
    void established() {
        auto opened = Tunnel::open(host_.loop, std::exchange(connection_, nullptr), remote_lifetime_ns, [] {});
        if (!opened) return fail(opened.error());
        finish(RemoteEnd{std::move(opened->inner), std::move(opened->fate)});
    }
    void fail(const Error& why) {
        connection_.reset();
        finish(unreachable(peer_, why));
    }
    void finish(Result<RemoteEnd> end) {
        if (const auto done = std::exchange(done_, nullptr)) done(std::move(end));
    }

    Host& host_;
    const std::string peer_;
    std::function<void(Result<RemoteEnd>)> done_;
    std::shared_ptr<Connection> connection_;
};

}  // namespace

void open_remote(Host& host, Work& resolver, const std::string& peer, std::function<void(Result<RemoteEnd>)> done) {
    const Peer* const known = host.peers.find(std::string_view(peer));
    if (known == nullptr) return done(Error{ErrorCode::not_found, "this host does not know a peer " + quoted(peer) + "; `holdfast peer list` shows those that it does"});
    if (known->address.empty())
        return done(Error{ErrorCode::invalid_argument, "no address is known of peer " + quoted(peer) + ", which calls this host and is not called; ask its engine from where it is"});
    const auto opening = std::make_shared<Opening>(host, peer, std::move(done));
    resolver.ask([address = known->address] { return resolve(address, false); }, [opening](const Result<std::vector<SocketAddress>>& addresses) { opening->dial_to(addresses); });
}

Result<HttpAnswer> ask_remote(RemoteEnd end, const std::string& peer, const HttpRequest& request) {
    const bool is_look = request.method == "GET";
    auto answer = http_exchange(end.socket.get(), request, is_look ? remote_look_ns : remote_act_ns);
    if (answer) return answer;
    // With TLS 1.3 whoever calls hears that he is not known after his own handshake is over.
    const auto why = end.fate->why();
    if (why && answer.error().code == ErrorCode::unavailable) return unreachable(peer, *why);
    return Error{answer.error().code, engine_of(peer) + " gave no answer: " + answer.error().message + (is_look ? "" : "; what was asked may still happen")};
}

}  // namespace holdfast::replicator
