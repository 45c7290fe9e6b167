#include "rewind/service/door_message.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/passed_descriptors.h"

namespace holdfast::rewind {

namespace {

constexpr char is_answer = '+', is_error = '-';

struct ErrorHead {
    char kind = is_error;
    uint8_t code = 0;
    int32_t sys_errno = 0;
};

}  // namespace

Status send_packet(int channel, const std::string& bytes, int fd) {
    if (bytes.size() > door_packet_bytes_max) return Error{ErrorCode::invalid_argument, "a question to the doorkeeper is too long"};
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    PassedDescriptors<1> along;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd >= 0) along.send_with(message, {&fd, 1});
    while (::sendmsg(channel, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return errno_error(errno, "speak to the other side of the door");
    return ok();
}

Result<DoorPacket> receive_packet(int channel) {
    DoorPacket packet;
    packet.bytes.resize(door_packet_bytes_max);
    iovec part{packet.bytes.data(), packet.bytes.size()};
    PassedDescriptors<1> along;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    along.receive_with(message);
    ssize_t size;
    do size = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0) return errno_error(errno, "hear from the other side of the door");
    packet.bytes.resize(static_cast<size_t>(size));
    std::vector<UniqueFd> fds = along.of(message);
    if (fds.size() == 1) packet.fd = std::move(fds.front());
    return packet;
}

std::string encode_answer(const std::vector<std::string>& parts) {
    std::string bytes(1, is_answer);
    for (const std::string& part : parts) bytes += part + '\0';
    return bytes;
}

std::string encode_answer(const Error& error) {
    const ErrorHead head{is_error, static_cast<uint8_t>(error.code), error.sys_errno};
    return std::string(reinterpret_cast<const char*>(&head), sizeof head) + error.message.substr(0, door_packet_bytes_max / 2);
}

Result<std::vector<std::string>> decode_answer(const std::string& bytes) {
    ErrorHead head;
    if (bytes.size() >= sizeof head && bytes.front() == is_error) {
        memcpy(&head, bytes.data(), sizeof head);
        return Error{static_cast<ErrorCode>(head.code), bytes.substr(sizeof head), head.sys_errno};
    }
    if (bytes.empty() || bytes.front() != is_answer) return Error{ErrorCode::unavailable, "the doorkeeper of the store service has ended"};
    std::vector<std::string> parts;
    for (size_t at = 1; at < bytes.size();) {
        const size_t end = bytes.find('\0', at);
        if (end == bytes.npos) break;
        parts.push_back(bytes.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

}  // namespace holdfast::rewind
