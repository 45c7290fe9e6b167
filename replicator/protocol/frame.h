// Messages as frames: one header, one payload, packed where that pays.
//
// decode trusts nothing: every length is checked before it is used or allocated, and a frame says only what its type
// allows. It is meant for bytes that came out of an authenticated channel; strangers are turned away before.
// Thread rule: encode and decode are pure; a FrameReader belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

// Payloads below this are sent as they are: zstd's own frame and the call cost more than they save.
inline constexpr size_t packing_bytes_min = 512;

struct FrameStamp {
    uint64_t term = 0;
    uint64_t sent_ns = 0;
    int zstd_level = 1;  // 0: never packed
};

// REQUIRES: the message keeps the limits of wire_format.h.
std::vector<std::byte> encode_frame(const Message& message, const FrameStamp& stamp);

// What readers of a stream say when it cannot be gone on with.
Error damaged_stream(const std::string& what);

// Cuts a stream of bytes into messages.
class FrameReader {
public:
    // More bytes of the stream. The caller bounds what waits here.
    void append(ByteSpan bytes);
    size_t waiting_bytes() const { return end_ - begin_; }
    // The next whole message; nothing when more bytes are needed. Errors: corrupt, unsupported; then the stream is lost, because
    // nobody knows where the next frame begins.
    Result<std::optional<Received>> next();

private:
    void make_room(size_t bytes);

    std::vector<std::byte> buffer_ = std::vector<std::byte>(64 << 10);  // grows to the frame in hand, which is bounded, and what is appended beyond
    size_t begin_ = 0, end_ = 0;
};

}  // namespace holdfast::replicator
