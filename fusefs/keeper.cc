#include "fusefs/keeper.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
#include "base/passed_descriptors.h"

namespace holdfast::fusefs {
namespace {

enum Verb : uint32_t { verb_keep = 1, verb_release = 2, verb_fetch = 3, verb_ready = 4, verb_next = 5 };
enum Outcome : uint32_t { outcome_ok = 0, outcome_not_found = 1, outcome_full = 2, outcome_bad = 3 };

// Between two builds of one program on one host, and never stored.
struct Message {
    uint32_t verb_or_outcome;
    uint32_t reserved;
    uint64_t inode;
};

bool send_message(int socket, const Message& message, int fd, int flags) {
    iovec piece{const_cast<Message*>(&message), sizeof message};
    PassedDescriptors<1> along;
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (fd >= 0) along.send_with(header, {&fd, 1});
    ssize_t sent;
    do sent = ::sendmsg(socket, &header, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == static_cast<ssize_t>(sizeof message);
}

struct Received {
    enum { whole, closed, nothing, damaged } state;
    Message message{};
    UniqueFd fd;
};

Received receive_message(int socket, int flags) {
    Received received{Received::whole, {}, {}};
    iovec piece{&received.message, sizeof received.message};
    PassedDescriptors<1> along;
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    along.receive_with(header);
    ssize_t size;
    do size = ::recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size == 0) received.state = Received::closed;
    else if (size < 0) received.state = errno == EAGAIN ? Received::nothing : Received::closed;
    else if (size != static_cast<ssize_t>(sizeof(Message)) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) received.state = Received::damaged;
    if (size < 0) return received;
    std::vector<UniqueFd> fds = along.of(header);
    if (fds.size() == 1) received.fd = std::move(fds.front());
    return received;
}

Error unavailable() {
    return {ErrorCode::unavailable, "the supervisor that keeps descriptors is gone"};
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> keeper_socketpair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "making the keeper's socket");
    return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct KeeperClient::Answer {
    uint32_t outcome;
    uint64_t inode;
    UniqueFd fd;
};

KeeperClient::KeeperClient(UniqueFd socket) : socket_(std::move(socket)) {
    const timeval patience{keeper_answer_seconds_max, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

Result<KeeperClient::Answer> KeeperClient::call(uint32_t verb, uint64_t inode, int fd) {
    MutexLock lock(mutex_);
    if (lost_) return unavailable();
    if (send_message(socket_.get(), {verb, 0, inode}, fd, 0)) {
        Received answer = receive_message(socket_.get(), 0);
        const bool is_its_own = verb == verb_next || answer.message.inode == inode;
        if (answer.state == Received::whole && is_its_own)
            return Answer{answer.message.verb_or_outcome, answer.message.inode, std::move(answer.fd)};
    }
    // An answer that came late would be taken for the next one's: from here on there is no keeper.
    lost_ = true;
    log_error("the supervisor does not answer; deleted files that are still open would be lost if this process ended");
    return unavailable();
}

Status KeeperClient::keep(uint64_t inode, int fd) {
    HF_CHECK(fd >= 0);
    const Answer answer = HF_TRY(call(verb_keep, inode, fd));
    if (answer.outcome == outcome_ok) return ok();
    return Error{ErrorCode::no_space, "the supervisor keeps no more descriptors (" + std::to_string(kept_descriptors_max) + " at most)"};
}

void KeeperClient::release(uint64_t inode) {
    (void)call(verb_release, inode, -1);
}

Result<UniqueFd> KeeperClient::fetch(uint64_t inode) {
    Answer answer = HF_TRY(call(verb_fetch, inode, -1));
    if (answer.outcome == outcome_ok && answer.fd) return std::move(answer.fd);
    return Error{ErrorCode::not_found, "no descriptor is kept for inode " + std::to_string(inode)};
}

std::vector<uint64_t> KeeperClient::kept() {
    std::vector<uint64_t> inodes;
    // Each question names the number after which the next is wanted, so that no answer has to hold them all.
    for (uint64_t after = 0;;) {
        auto answer = call(verb_next, after, -1);
        if (!answer || answer->outcome != outcome_ok) return inodes;
        inodes.push_back(after = answer->inode);
    }
}

Status KeeperClient::announce_ready() {
    HF_TRY(call(verb_ready, 0, -1));
    return ok();
}

KeeperStore::Event KeeperStore::handle(int socket) {
    Received request = receive_message(socket, MSG_DONTWAIT);
    if (request.state == Received::nothing) return Event::nothing;
    if (request.state == Received::closed) return Event::closed;
    const bool is_damaged = request.state == Received::damaged;
    int answer_fd = -1;
    uint64_t inode = request.message.inode;
    const uint32_t outcome = is_damaged ? static_cast<uint32_t>(outcome_bad)
                                        : carry_out(request.message.verb_or_outcome, inode, std::move(request.fd), answer_fd);
    // The client sends its next request only after this answer, so the socket has room for it.
    if (!send_message(socket, {outcome, 0, inode}, answer_fd, MSG_DONTWAIT)) return Event::closed;
    return !is_damaged && request.message.verb_or_outcome == verb_ready ? Event::ready : Event::served;
}

uint32_t KeeperStore::carry_out(uint32_t verb, uint64_t& inode, UniqueFd fd, int& answer_fd) {
    const auto found = kept_.find(inode);
    switch (verb) {
        case verb_keep:
            if (!fd) return outcome_bad;
            if (found != kept_.end()) return outcome_ok;  // asked twice: a resent request
            if (kept_.size() >= kept_descriptors_max) return outcome_full;
            kept_.emplace(inode, std::move(fd));
            return outcome_ok;
        case verb_release:
            if (found != kept_.end()) kept_.erase(found);
            return outcome_ok;
        case verb_fetch:
            if (found == kept_.end()) return outcome_not_found;
            answer_fd = found->second.get();
            return outcome_ok;
        case verb_next: {
            const auto next = kept_.upper_bound(inode);
            if (next == kept_.end()) return outcome_not_found;
            inode = next->first;
            return outcome_ok;
        }
        case verb_ready:
            return outcome_ok;
        default:
            return outcome_bad;
    }
}

}  // namespace holdfast::fusefs
