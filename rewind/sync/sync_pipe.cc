#include "rewind/sync/sync_pipe.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/json.h"

namespace holdfast::rewind {

namespace {

struct Header {
    uint32_t length;
    uint8_t part;
    uint8_t reserved[3];
};
static_assert(sizeof(Header) == 8);

constexpr size_t receive_bytes = 256 << 10;

}  // namespace

std::vector<std::byte> encode_sync_message(SyncPart part, ByteSpan bytes) {
    std::vector<std::byte> message(sizeof(Header) + bytes.size());
    const Header header{static_cast<uint32_t>(bytes.size()), static_cast<uint8_t>(part), {}};
    std::memcpy(message.data(), &header, sizeof header);
    if (!bytes.empty()) std::memcpy(message.data() + sizeof header, bytes.data(), bytes.size());
    return message;
}

std::vector<std::byte> encode_sync_control(const Json& json) {
    return encode_sync_message(SyncPart::control, bytes_of(line_of(json)));
}

Result<SyncMoment> moment_of(const Json& told) {
    const auto at = number_at(told, "at"), time_ns = number_at(told, "time_ns");
    if (!at || !time_ns) return Error{ErrorCode::corrupt, "the store service was asked for a moment and told none"};
    return SyncMoment{*at, *time_ns};
}

Result<Json> control_of(const SyncMessage& message) {
    Json json = Json::parse(reinterpret_cast<const char*>(message.bytes.data()), reinterpret_cast<const char*>(message.bytes.data()) + message.bytes.size(), nullptr, false);
    if (message.part != SyncPart::control || !json.is_object()) return Error{ErrorCode::corrupt, "a control message was expected on the sync socket"};
    if (json.contains("error")) return error_of(json["error"]);
    return json;
}

void SyncMessageReader::take(ByteSpan bytes) {
    if (read_ == bytes_.size()) {
        bytes_.clear();
        read_ = 0;
    } else if (read_ > sync_message_bytes_max) {
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(read_));
        read_ = 0;
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<SyncMessage>> SyncMessageReader::next() {
    if (bytes_.size() - read_ < sizeof(Header)) return std::optional<SyncMessage>();
    Header header;
    std::memcpy(&header, &bytes_[read_], sizeof header);
    const bool is_known = header.part == static_cast<uint8_t>(SyncPart::control) || header.part == static_cast<uint8_t>(SyncPart::peer);
    if (!is_known || header.length > sync_message_bytes_max) return Error{ErrorCode::corrupt, "the sync socket brought what is no message"};
    if (bytes_.size() - read_ - sizeof header < header.length) return std::optional<SyncMessage>();
    const auto begin = bytes_.begin() + static_cast<ptrdiff_t>(read_ + sizeof header);
    read_ += sizeof header + header.length;
    return std::optional(SyncMessage{static_cast<SyncPart>(header.part), {begin, begin + header.length}});
}

Status SyncPipe::send(SyncPart part, ByteSpan bytes) {
    return write(encode_sync_message(part, bytes));
}

Status SyncPipe::send(const Json& control) {
    return write(encode_sync_control(control));
}

Status SyncPipe::write(ByteSpan bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return Error{ErrorCode::unavailable, "the other end of the sync socket is gone"};
        bytes = bytes.subspan(static_cast<size_t>(sent));
    }
    return ok();
}

Result<SyncMessage> SyncPipe::receive() {
    std::vector<std::byte> piece(receive_bytes);
    for (;;) {
        if (auto message = HF_TRY(reader_.next())) return std::move(*message);
        const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return Error{ErrorCode::unavailable, "the other end of the sync socket is gone"};
        reader_.take(ByteSpan(piece).first(static_cast<size_t>(got)));
    }
}

}  // namespace holdfast::rewind
