#include "replicator/engine/connection.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <string_view>

#include "base/check.h"

namespace holdfast::replicator {

Connection::Connection(Loop& loop, UniqueFd socket, std::unique_ptr<TlsChannel> channel, Events events)
    : loop_(loop), socket_(std::move(socket)), channel_(std::move(channel)), events_(std::make_shared<const Events>(std::move(events))) {}

std::shared_ptr<Connection> Connection::start(Loop& loop, UniqueFd socket, std::unique_ptr<TlsChannel> channel, Events events, uint64_t handshake_ns) {
    std::shared_ptr<Connection> connection(new Connection(loop, std::move(socket), std::move(channel), std::move(events)));
    const int on = 1;
    // Acknowledgements and heartbeats are small and wanted now.
    ::setsockopt(connection->socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->deadline_ = loop.after(handshake_ns, [weak = std::weak_ptr(connection)] {
        if (auto late = weak.lock()) late->fail({ErrorCode::unavailable, "the peer did not finish the TLS handshake in time"});
    });
    connection->flush();
    connection->receive();
    return connection;
}

void Connection::receive() {
    if (!is_paused_ && !held_ && !is_closing()) begin_receive();
}

void Connection::begin_receive() {
    if (is_receiving_) return;
    is_receiving_ = true;
    loop_.receive(socket_.get(), incoming_, [self = shared_from_this()](int result) {
        self->is_receiving_ = false;
        self->received(result);
    });
}

void Connection::received(int result) {
    if (is_closing()) return received_after_close(result);
    if (is_paused_) {
        held_ = result;
        return;
    }
    if (result == 0) return fail({ErrorCode::unavailable, "the peer closed the connection"});
    if (result < 0) return fail(errno_error(-result, "receive from the peer"));
    received_bytes_ += static_cast<uint64_t>(result);
    Status taken = channel_->receive(ByteSpan(incoming_).first(static_cast<size_t>(result)));
    flush();  // also an alert that says why
    if (!taken) return end(std::move(taken).error());
    if (!is_established_ && channel_->is_established()) {
        is_established_ = true;
        loop_.cancel(deadline_);
        if (const auto events = events_; events->established) events->established();
    }
    deliver();
    receive();
}

// What was decrypted stays in the channel while the owner pauses.
void Connection::deliver() {
    while (is_established_ && !is_paused_ && !is_closing()) {
        auto got = channel_->read(plain_);
        if (!got) {
            flush();
            return end(std::move(got).error());
        }
        if (*got == 0) break;
        if (const auto events = events_; events->bytes) events->bytes(ByteSpan(plain_).first(*got));
    }
    if (!is_closing() && channel_->is_closed()) fail({ErrorCode::unavailable, "the peer closed the connection"});
}

void Connection::resume() {
    if (!is_paused_) return;
    is_paused_ = false;
    // Not from within the owner's call: what is waiting is delivered on the next turn.
    loop_.post([self = shared_from_this()] {
        self->deliver();
        if (const auto held = std::exchange(self->held_, std::nullopt); held && !self->is_paused_) self->received(*held);
        else self->held_ = held;
        self->receive();
    });
}

void Connection::send(ByteSpan plain) {
    if (is_closing()) return;
    if (Status written = channel_->write(plain); !written) return fail(std::move(written).error());
    flush();
}

size_t Connection::backlog_bytes() const {
    return waiting_bytes() + socket_queue(SIOCOUTQNSD);
}

size_t Connection::unacknowledged_bytes() const {
    return waiting_bytes() + socket_queue(SIOCOUTQ);
}

size_t Connection::socket_queue(unsigned long which) const {
    int bytes = 0;
    return ::ioctl(socket_.get(), which, &bytes) == 0 ? static_cast<size_t>(bytes) : 0;
}

uint64_t Connection::round_trip_ns() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    const bool is_known = ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_min_rtt != UINT32_MAX;
    return is_known ? info.tcpi_min_rtt * uint64_t{1000} : 0;
}

void Connection::tune_for_long_link() {
    constexpr std::string_view by_bandwidth = "bbr";
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_CONGESTION, by_bandwidth.data(), by_bandwidth.size());
}

void Connection::end_when_unacknowledged(uint64_t ns) {
    const auto patience_ms = static_cast<unsigned>(ns / 1'000'000);
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

void Connection::flush() {
    if (is_sending_ || is_finished_) return;
    if (outgoing_begin_ == outgoing_.size()) {
        outgoing_ = channel_->take_output();
        outgoing_begin_ = 0;
    }
    if (outgoing_.empty()) return;
    is_sending_ = true;
    loop_.send(socket_.get(), ByteSpan(outgoing_).subspan(outgoing_begin_), [self = shared_from_this()](int result) {
        self->is_sending_ = false;
        self->sent(result);
    });
}

void Connection::sent(int result) {
    if (is_finished_) return;
    if (result < 0) return is_closing() ? finish() : fail(errno_error(-result, "send to the peer"));
    outgoing_begin_ += static_cast<size_t>(result);
    sent_bytes_ += static_cast<uint64_t>(result);
    flush();
    if (is_closing() && !is_sending_) half_close();
}

void Connection::close(Error why) {
    if (is_closing()) return;
    channel_->close();
    flush();
    end(std::move(why));
}

// What is on its way still goes: what close() promises, or an alert that says why.
void Connection::end(Error why) {
    if (is_closing()) return;
    why_ = std::move(why);
    loop_.cancel(deadline_);
    deadline_ = loop_.after(linger_ns_max, [self = shared_from_this()] { self->finish(); });
    begin_receive();
    // Not from within the owner's call.
    if (!is_sending_) loop_.post([self = shared_from_this()] { self->half_close(); });
}

// The socket is closed when the peer has closed its side as well. A socket that is closed while it holds bytes that nobody took ends
// with a reset, and that discards what is still under way to the peer.
void Connection::half_close() {
    if (is_finished_ || is_sending_) return;
    ::shutdown(socket_.get(), SHUT_WR);
    begin_receive();
}

void Connection::received_after_close(int result) {
    if (is_finished_) return;
    if (result > 0) return begin_receive();
    if (!is_sending_) finish();
}

// For a socket that is of no use any more.
void Connection::fail(Error why) {
    if (is_closing()) return;
    why_ = std::move(why);
    loop_.post([self = shared_from_this()] { self->finish(); });
}

void Connection::finish() {
    if (is_finished_) return;
    is_finished_ = true;
    loop_.cancel(deadline_);
    ::shutdown(socket_.get(), SHUT_RDWR);  // ends what is under way
    // The events may hold the owner, and the owner this connection.
    const auto events = std::exchange(events_, std::make_shared<const Events>());
    if (events->closed) events->closed(*why_);
}

}  // namespace holdfast::replicator
