#include "replicator/engine/pair.h"

#include <algorithm>

namespace holdfast::replicator {

namespace {

constexpr uint64_t pair_ns_max = 30'000'000'000;

class Pair : public std::enable_shared_from_this<Pair> {
public:
    Pair(Host& host, std::shared_ptr<Connection> connection, PairingSide side, const Introduction& self, PairDone done)
        : host_(host), connection_(std::move(connection)), side_(std::move(side)), self_(self), done_(std::move(done)) {}

    void start() {
        connection_->set_events({{},
                                 [self = shared_from_this()](ByteSpan bytes) { self->take(bytes); },
                                 [self = shared_from_this()](const Error& why) { self->end(why); }});
        deadline_ = host_.loop.after(pair_ns_max, [self = shared_from_this()] { self->fail({ErrorCode::unavailable, "the other side took too long"}); });
        connection_->send(side_.start());
    }

private:
    size_t awaited() const { return side_.is_done() ? introduction_bytes : side_.awaited_bytes(); }

    void take(ByteSpan bytes) {
        // A side that has failed awaits nothing, so what came behind the wrong proof would never be used up.
        while (!bytes.empty() && done_ && !connection_->is_closing()) {
            const size_t taken = std::min(bytes.size(), awaited() - buffer_.size());
            buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(taken));
            bytes = bytes.subspan(taken);
            if (buffer_.size() == awaited()) message(std::exchange(buffer_, {}));
        }
    }

    void message(const std::vector<std::byte>& bytes) {
        if (side_.is_done()) {
            auto peer = decode_introduction(bytes);
            if (!peer) return fail(peer.error());
            const Introduced introduced{*peer, connection_->channel().peer()};
            end(introduced);
            return connection_->close({ErrorCode::unavailable, "paired"});
        }
        auto answer = side_.on_message(bytes);
        if (!answer) return fail(answer.error());
        if (!answer->empty()) connection_->send(*answer);
        if (side_.is_done()) connection_->send(encode_introduction(self_));
    }

    void fail(const Error& why) { connection_->close(why); }

    void end(Result<Introduced> result) {
        host_.loop.cancel(deadline_);
        if (const PairDone done = std::exchange(done_, {})) done(std::move(result));
    }

    Host& host_;
    const std::shared_ptr<Connection> connection_;
    PairingSide side_;
    const Introduction self_;
    PairDone done_;
    std::vector<std::byte> buffer_;
    Loop::TimerId deadline_ = 0;
};

}  // namespace

void pair_over(Host& host, std::shared_ptr<Connection> connection, PairingSide::Role role, const PairingCode& code, const Introduction& self, PairDone done) {
    const TlsChannel& channel = connection->channel();
    const bool is_client = role == PairingSide::Role::client;
    const auto fail = [&](const Error& why) {
        connection->abandon(why);
        done(why);
    };
    auto exporter = channel.exporter(pairing_exporter_label);
    if (!exporter) return fail(exporter.error());
    const Fingerprint &ours = host.identity.fingerprint(), &theirs = channel.peer();
    auto side = PairingSide::make(role, code, {is_client ? ours : theirs, is_client ? theirs : ours, *exporter});
    if (!side) return fail(side.error());
    std::make_shared<Pair>(host, std::move(connection), std::move(*side), self, std::move(done))->start();
}

}  // namespace holdfast::replicator
