#include "replicator/engine/sync_link.h"

#include <cerrno>

#include "base/text.h"
#include "base/unix_socket.h"
#include "replicator/protocol/wire_format.h"

namespace holdfast::replicator {

namespace {

constexpr uint64_t connect_pause_ns = 50'000'000;

static_assert(rewind::sync_message_bytes_max <= HF_FRAME_SYNC_BYTES_MAX);

bool is_absent(int result) {
    return result == -ENOENT || result == -ECONNREFUSED || result == -EAGAIN;
}

}  // namespace

std::shared_ptr<SyncLink> SyncLink::open(Loop& loop, const std::string& path, const Json& request, Events events, uint64_t connect_ns) {
    std::shared_ptr<SyncLink> link(new SyncLink(loop, std::move(events)));
    auto address = unix_address(path);
    if (!address) {
        link->fail(address.error());
        return link;
    }
    link->address_ = *address;
    link->give_up_ns_ = loop.now_ns() + connect_ns;
    link->waiting_ = rewind::encode_sync_control(request);
    link->connect();
    return link;
}

void SyncLink::connect() {
    if (const auto& by_other = other_connect_unix()) {
        auto socket = by_other(address_.sun_path);
        const int result = socket ? 0 : -(socket.error().sys_errno != 0 ? socket.error().sys_errno : EIO);
        if (socket) socket_ = std::move(*socket);
        return loop_.post([self = shared_from_this(), result] { self->connected(result); });
    }
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket_) return fail(errno_error(errno, "make a socket"));
    loop_.connect(socket_.get(), reinterpret_cast<const sockaddr&>(address_), sizeof address_, [self = shared_from_this()](int result) { self->connected(result); });
}

void SyncLink::connected(int result) {
    if (is_over_) return;
    if (is_absent(result) && loop_.now_ns() < give_up_ns_) return after(connect_pause_ns, &SyncLink::connect);
    if (is_absent(result)) return fail({ErrorCode::unavailable, "the store service of this host does not answer at " + quoted(std::string_view(address_.sun_path))});
    if (result < 0) return fail(errno_error(-result, "connect to the store service"));
    is_connected_ = true;
    flush();
    listen();
}

// The next message, or more of its bytes.
void SyncLink::listen() {
    while (!is_over_) {
        if (const uint64_t wait_ns = events_->wait_ns(); wait_ns > 0) return after(wait_ns, &SyncLink::listen);
        auto message = reader_.next();
        if (!message) return fail(message.error());
        if (!*message) return receive();
        take(std::move(**message));
    }
}

void SyncLink::receive() {
    loop_.receive(socket_.get(), incoming_, [self = shared_from_this()](int result) { self->received(result); });
}

void SyncLink::received(int result) {
    if (is_over_) return;
    if (result == 0) return fail({ErrorCode::unavailable, "the store service of this host ended the comparison"});
    if (result < 0) return fail(errno_error(-result, "read from the store service"));
    reader_.take(ByteSpan(incoming_).first(static_cast<size_t>(result)));
    listen();
}

void SyncLink::take(rewind::SyncMessage message) {
    const auto events = events_;
    if (message.part == rewind::SyncPart::peer) {
        moved_bytes_ += message.bytes.size();
        return events->bytes(std::move(message.bytes));
    }
    const auto control = rewind::control_of(message);
    if (!control) return fail(Error(control.error()).within("the store service of this host"));
    events->control(*control);
}

void SyncLink::give(ByteSpan bytes) {
    moved_bytes_ += bytes.size();
    say(rewind::encode_sync_message(rewind::SyncPart::peer, bytes));
}

void SyncLink::say(std::vector<std::byte> message) {
    if (is_over_) return;
    if (waiting_.size() + message.size() > sync_waiting_bytes_max)
        return fail({ErrorCode::unavailable, "the other host's store says more than this host's can take: " + human_bytes(waiting_.size()) + " wait"});
    waiting_.insert(waiting_.end(), message.begin(), message.end());
    flush();
}

void SyncLink::flush() {
    if (!is_connected_ || is_sending_ || is_over_) return;
    if (outgoing_begin_ == outgoing_.size()) {
        outgoing_ = std::exchange(waiting_, {});
        outgoing_begin_ = 0;
    }
    if (outgoing_.empty()) return;
    is_sending_ = true;
    loop_.send(socket_.get(), ByteSpan(outgoing_).subspan(outgoing_begin_), [self = shared_from_this()](int result) { self->sent(result); });
}

void SyncLink::sent(int result) {
    is_sending_ = false;
    if (is_over_) return;
    // What the service said before it closed, its reason among it, is still to be read; then the end of file tells.
    if (result < 0) return;
    outgoing_begin_ += static_cast<size_t>(result);
    flush();
}

void SyncLink::after(uint64_t delay_ns, void (SyncLink::*call)()) {
    timer_ = loop_.after(delay_ns, [weak = weak_from_this(), call] {
        if (const auto self = weak.lock(); self && !self->is_over_) (*self.*call)();
    });
}

void SyncLink::fail(Error why) {
    if (is_over_) return;
    stop();
    // Not from within the owner's call.
    loop_.post([self = shared_from_this(), why = std::move(why)] {
        if (const auto events = self->events_) events->failed(why);
    });
}

void SyncLink::close() {
    stop();
    // They may hold the owner, and the owner this link.
    events_.reset();
}

void SyncLink::stop() {
    is_over_ = true;
    loop_.cancel(timer_);
    if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);  // ends what is under way
}

}  // namespace holdfast::replicator
