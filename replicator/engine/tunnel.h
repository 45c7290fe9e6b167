// Passes bytes between an encrypted connection on the loop and a socket that a thread which may block works on: that is how HTTP is spoken
// between two engines by libraries that want a descriptor.
//
// Bounded: of what one side has sent and the other has not taken at most receive_bytes are held, and tunnel_backlog_bytes_max of what is
// already encrypted; then whoever sends waits. A tunnel is closed after its time whatever is said in it, so nobody can hold one by being slow.
//
// Thread rule: the loop's thread; TunnelFate from any. Lives as long as the connection or an operation of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "replicator/engine/connection.h"

namespace holdfast::replicator {

inline constexpr size_t tunnel_backlog_bytes_max = 256 << 10;

// Why the connection ended, for the thread that meets the end of its socket. There before that is.
class TunnelFate {
public:
    void decide(const Error& why) {
        MutexLock lock(mutex_);
        if (!why_) why_ = why;
    }
    std::optional<Error> why() {
        MutexLock lock(mutex_);
        return why_;
    }

private:
    Mutex mutex_;
    std::optional<Error> why_ HF_GUARDED_BY(mutex_);
};

class Tunnel : public std::enable_shared_from_this<Tunnel> {
public:
    struct Opened {
        std::shared_ptr<Tunnel> tunnel;
        UniqueFd inner;  // the other side; closing it ends the tunnel
        std::shared_ptr<TunnelFate> fate;
    };
    // OVER is called once, last. Errors: io. REQUIRES: the connection is established.
    static Result<Opened> open(Loop& loop, std::shared_ptr<Connection> connection, uint64_t lifetime_ns, std::function<void()> over);

    void close(Error why) { connection_->close(std::move(why)); }
    const Fingerprint& peer_key() const { return connection_->channel().peer(); }

private:
    Tunnel(Loop& loop, std::shared_ptr<Connection> connection, UniqueFd outer, std::function<void()> over)
        : loop_(loop), connection_(std::move(connection)), outer_(std::move(outer)), over_(std::move(over)) {}

    void begin(uint64_t lifetime_ns);
    void take(ByteSpan bytes);
    void pass_in();
    void take_out();
    void ended(const Error& why);

    Loop& loop_;
    const std::shared_ptr<Connection> connection_;
    const UniqueFd outer_;
    const std::function<void()> over_;
    const std::shared_ptr<TunnelFate> fate_ = std::make_shared<TunnelFate>();
    std::vector<std::byte> inward_, outward_ = std::vector<std::byte>(receive_bytes);
    size_t passed_ = 0;  // of inward_
    bool is_over_ = false;
    Loop::TimerId deadline_ = 0;
};

}  // namespace holdfast::replicator
