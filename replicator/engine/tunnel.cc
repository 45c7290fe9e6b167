#include "replicator/engine/tunnel.h"

#include <sys/socket.h>

#include "base/result.h"

namespace holdfast::replicator {

namespace {

constexpr uint64_t backlog_pause_ns = 20'000'000;

}  // namespace

Result<Tunnel::Opened> Tunnel::open(Loop& loop, std::shared_ptr<Connection> connection, uint64_t lifetime_ns, std::function<void()> over) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "make a pair of sockets");
    UniqueFd outer(ends[0]), inner(ends[1]);
    std::shared_ptr<Tunnel> tunnel(new Tunnel(loop, std::move(connection), std::move(outer), std::move(over)));
    tunnel->begin(lifetime_ns);
    return Opened{tunnel, std::move(inner), tunnel->fate_};
}

void Tunnel::begin(uint64_t lifetime_ns) {
    connection_->set_events({{}, [self = shared_from_this()](ByteSpan bytes) { self->take(bytes); }, [self = shared_from_this()](const Error& why) { self->ended(why); }});
    deadline_ = loop_.after(lifetime_ns, [this] { close({ErrorCode::unavailable, "what was asked over this connection took too long"}); });
    take_out();
}

void Tunnel::take(ByteSpan bytes) {
    // One delivery at a time: the next one comes when this has been passed on.
    connection_->pause();
    inward_.assign(bytes.begin(), bytes.end());
    passed_ = 0;
    pass_in();
}

void Tunnel::pass_in() {
    if (passed_ == inward_.size()) return connection_->resume();
    loop_.send(outer_.get(), ByteSpan(inward_).subspan(passed_), [self = shared_from_this()](int result) {
        if (self->is_over_) return;
        if (result < 0) return self->close({ErrorCode::unavailable, "nobody takes any more what the peer says"});
        self->passed_ += static_cast<size_t>(result);
        self->pass_in();
    });
}

void Tunnel::take_out() {
    if (is_over_) return;
    if (connection_->waiting_bytes() > tunnel_backlog_bytes_max) {
        loop_.after(backlog_pause_ns, [self = shared_from_this()] { self->take_out(); });
        return;
    }
    loop_.receive(outer_.get(), outward_, [self = shared_from_this()](int result) {
        if (self->is_over_) return;
        if (result <= 0) return self->close({ErrorCode::unavailable, "everything was said"});
        self->connection_->send(ByteSpan(self->outward_).first(static_cast<size_t>(result)));
        self->take_out();
    });
}

void Tunnel::ended(const Error& why) {
    is_over_ = true;
    loop_.cancel(deadline_);
    fate_->decide(why);
    ::shutdown(outer_.get(), SHUT_RDWR);  // ends what is under way, and what the other side waits for
    over_();
}

}  // namespace holdfast::replicator
