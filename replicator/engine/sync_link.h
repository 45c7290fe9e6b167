// The engine's end of a store service's sync socket, during a repair: what the two stores say to each other passes through here on its way
// to the peer and back, and nobody looks into it (rewind/sync/sync_pipe.h).
//
// A service that is being started is waited for. `wait_ns` is asked before each message is taken from the store, so whoever carries it on
// says how fast; what waits in the other direction is bounded by what the replica's store asks for, and more is an error.
//
// Thread rule: the loop's thread. Lives as long as an operation is under way. No event is called from within a call of the owner's, nor
// after close().
#pragma once

#include <sys/un.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "replicator/engine/loop.h"
#include "rewind/sync/sync_pipe.h"

namespace holdfast::replicator {

// How long a service may take to be there.
inline constexpr uint64_t sync_connect_ns_max = 10'000'000'000;
// What may wait for the store: more than its own limit of what is under way.
inline constexpr size_t sync_waiting_bytes_max = 4 * rewind::sync_under_way_bytes_max;
// What may wait for the peer before the store is asked to wait, and for how long then.
inline constexpr size_t sync_backlog_bytes_max = 4 << 20;
inline constexpr uint64_t sync_pause_ns = 5'000'000;

class SyncLink : public std::enable_shared_from_this<SyncLink> {
public:
    struct Events {
        std::function<void(const Json&)> control;           // what the service says to the engine; an error goes to `failed`
        std::function<void(std::vector<std::byte>)> bytes;  // for the store on the other host
        std::function<uint64_t()> wait_ns;                  // how long nothing more is wanted; 0: now
        std::function<void(const Error&)> failed;           // once, last
    };

    // Connects to the socket at PATH and says REQUEST.
    static std::shared_ptr<SyncLink> open(Loop& loop, const std::string& path, const Json& request, Events events, uint64_t connect_ns = sync_connect_ns_max);

    // What the store on the other host says.
    void give(ByteSpan bytes);
    void close();
    // For and from the other host.
    uint64_t moved_bytes() const { return moved_bytes_; }

private:
    SyncLink(Loop& loop, Events events) : loop_(loop), events_(std::make_shared<const Events>(std::move(events))) {}

    void connect();
    void connected(int result);
    void listen();
    void receive();
    void received(int result);
    void take(rewind::SyncMessage message);
    void say(std::vector<std::byte> message);
    void flush();
    void sent(int result);
    void after(uint64_t delay_ns, void (SyncLink::*call)());
    void fail(Error why);
    void stop();

    Loop& loop_;
    std::shared_ptr<const Events> events_;  // null after close(); shared, because an event may close
    sockaddr_un address_{};
    uint64_t give_up_ns_ = 0;
    UniqueFd socket_;
    bool is_connected_ = false, is_sending_ = false, is_over_ = false;
    Loop::TimerId timer_ = 0;
    rewind::SyncMessageReader reader_;
    std::vector<std::byte> incoming_ = std::vector<std::byte>(256 << 10);
    std::vector<std::byte> waiting_, outgoing_;  // outgoing_ is being sent, from outgoing_begin_ on
    size_t outgoing_begin_ = 0;
    uint64_t moved_bytes_ = 0;
};

}  // namespace holdfast::replicator
