// One TCP connection with a TLS channel in it: plain bytes in, plain bytes out, on the loop.
//
// What arrives is decrypted and handed over at once; whoever cannot take more says pause(), and the kernel's buffers and then the
// peer wait. What is sent is encrypted at once and queued: the sender's window bounds it, not the connection.
//
// A handshake that does not end within handshake_ns_max ends the connection. After close() the peer has linger_ns_max to take what was
// sent and to close its side. `closed` is called once, last, and never from within a call of the owner's.
//
// Thread rule: the loop's thread. Lives as long as an operation is under way.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "replicator/engine/loop.h"
#include "replicator/trust/tls_channel.h"

namespace holdfast::replicator {

inline constexpr uint64_t handshake_ns_max = 10'000'000'000;
inline constexpr uint64_t linger_ns_max = 2'000'000'000;
inline constexpr size_t receive_bytes = 64 << 10;

class Connection : public std::enable_shared_from_this<Connection> {
public:
    struct Events {
        std::function<void()> established;
        std::function<void(ByteSpan)> bytes;
        std::function<void(const Error&)> closed;  // after close(): the reason that was given there
    };

    static std::shared_ptr<Connection> start(Loop& loop, UniqueFd socket, std::unique_ptr<TlsChannel> channel, Events events,
                                             uint64_t handshake_ns = handshake_ns_max);

    // For whoever takes over a connection that somebody else accepted.
    void set_events(Events events) { events_ = std::make_shared<const Events>(std::move(events)); }

    // Nothing is sent after close(). REQUIRES: established.
    void send(ByteSpan plain);
    void pause() { is_paused_ = true; }
    void resume();
    // Lets what was sent go out, then ends. WHY comes back in `closed`.
    void close(Error why);

    // The owner wants nothing more of it: as close(), and no event comes any more, `closed` neither.
    void abandon(Error why) { set_events({}), close(std::move(why)); }

    bool is_closing() const { return why_.has_value(); }
    // What was sent and the socket has not taken yet.
    size_t waiting_bytes() const { return outgoing_.size() - outgoing_begin_ + channel_->output_bytes(); }
    // The same, and what the socket has and has not put on the link: only a few milliseconds' worth of it while the link keeps up.
    size_t backlog_bytes() const;
    // The same, and what is on the link or lost there.
    size_t unacknowledged_bytes() const;
    // The shortest round trip that the kernel has seen lately; 0: it does not know.
    uint64_t round_trip_ns() const;
    // Where the kernel can, it goes by what the link carries instead of by what it loses.
    void tune_for_long_link();
    // What the other host does not acknowledge for so long is the end of the connection: for one on which nothing is ever heard.
    void end_when_unacknowledged(uint64_t ns);
    // Encrypted bytes that the socket has taken and given.
    uint64_t sent_bytes() const { return sent_bytes_; }
    uint64_t received_bytes() const { return received_bytes_; }
    const TlsChannel& channel() const { return *channel_; }

private:
    Connection(Loop& loop, UniqueFd socket, std::unique_ptr<TlsChannel> channel, Events events);

    size_t socket_queue(unsigned long which) const;
    void receive();
    void begin_receive();
    void received(int result);
    void received_after_close(int result);
    void deliver();
    void flush();
    void sent(int result);
    void end(Error why);
    void half_close();
    void fail(Error why);
    void finish();

    Loop& loop_;
    UniqueFd socket_;
    std::unique_ptr<TlsChannel> channel_;
    std::shared_ptr<const Events> events_;  // shared, because an event may replace them while it is being called
    std::vector<std::byte> incoming_ = std::vector<std::byte>(receive_bytes);
    std::vector<std::byte> plain_ = std::vector<std::byte>(receive_bytes);
    std::vector<std::byte> outgoing_;  // what is being sent, from outgoing_begin_ on
    size_t outgoing_begin_ = 0;
    bool is_receiving_ = false, is_sending_ = false, is_paused_ = false, is_established_ = false, is_finished_ = false;
    std::optional<int> held_;  // what a receive gave while paused; its bytes are in incoming_
    std::optional<Error> why_;
    Loop::TimerId deadline_ = 0;
    uint64_t sent_bytes_ = 0, received_bytes_ = 0;
};

}  // namespace holdfast::replicator
