#include "replicator/launch/packet.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/passed_descriptors.h"
#include "base/text.h"

namespace holdfast::replicator {

Result<PacketEnds> packet_ends() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "make a pair of sockets");
    const int bytes = 2 * packet_bytes_max;
    for (const int end : ends) ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return PacketEnds{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Status send_packet(int end, std::string_view text, const std::vector<int>& fds) {
    if (text.empty() || text.size() > packet_bytes_max || fds.size() > packet_fds_max)
        return Error{ErrorCode::invalid_argument, "a message to another process of the engine has 1 to " + std::to_string(packet_bytes_max) + " bytes"};
    iovec bytes{const_cast<char*>(text.data()), text.size()};
    PassedDescriptors<packet_fds_max> along;
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    along.send_with(message, fds);
    ssize_t sent;
    do sent = ::sendmsg(end, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent == static_cast<ssize_t>(text.size())) return ok();
    Error error = errno_error(errno, "send to another process of the engine");
    if (error.sys_errno == EPIPE || error.sys_errno == ECONNRESET) error.code = ErrorCode::unavailable;
    return error;
}

Result<Packet> receive_packet(int end) {
    Packet packet;
    packet.text.resize(packet_bytes_max);
    iovec bytes{packet.text.data(), packet.text.size()};
    PassedDescriptors<packet_fds_max> along;
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    along.receive_with(message);
    ssize_t got;
    do got = ::recvmsg(end, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno_error(errno, "receive from another process of the engine");
    packet.fds = along.of(message);
    if (got == 0) return Error{ErrorCode::unavailable, "the other process of the engine has ended"};
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return Error{ErrorCode::invalid_argument, "a message of another process of the engine is too long"};
    packet.text.resize(static_cast<size_t>(got));
    return packet;
}

}  // namespace holdfast::replicator
