#include "replicator/protocol/frame.h"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "replicator/protocol/message_codec.h"

namespace holdfast::replicator {

namespace {

uint64_t hash(ByteSpan bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

// With the header's own field zero.
uint64_t frame_checksum(hf_frame_header header, ByteSpan stored) {
    header.checksum = 0;
    return XXH3_64bits_withSeed(stored.data(), stored.size(), XXH3_64bits(&header, sizeof header));
}

// What packing works with, kept by each thread that does: made for each frame it would be mapped and cleared each time.
class Workspace {
public:
    static Workspace& of_this_thread() {
        thread_local Workspace workspace;
        return workspace;
    }
    ~Workspace() {
        ZSTD_freeCCtx(packer_);
        ZSTD_freeDCtx(unpacker_);
    }
    ZSTD_CCtx* packer() { return packer_; }
    ZSTD_DCtx* unpacker() { return unpacker_; }
    MutableByteSpan room(size_t bytes) {
        if (room_.size() < bytes) room_.resize(bytes);
        return MutableByteSpan(room_).first(bytes);
    }

private:
    Workspace() { HF_CHECK(packer_ != nullptr && unpacker_ != nullptr); }

    ZSTD_CCtx* const packer_ = ZSTD_createCCtx();
    ZSTD_DCtx* const unpacker_ = ZSTD_createDCtx();
    std::vector<std::byte> room_;  // grows to the largest frame, which is bounded
};

// The payload packed; empty when that does not pay. Holds until the thread packs or unpacks again.
ByteSpan packed(ByteSpan plain, int level) {
    if (level == 0 || plain.size() < packing_bytes_min) return {};
    Workspace& workspace = Workspace::of_this_thread();
    const MutableByteSpan room = workspace.room(ZSTD_compressBound(plain.size()));
    const size_t size = ZSTD_compressCCtx(workspace.packer(), room.data(), room.size(), plain.data(), plain.size(), level);
    // What saves less than an eighth is not worth the other side's time.
    if (ZSTD_isError(size) || size > plain.size() - plain.size() / 8) return {};
    return room.first(size);
}

Status check_header(const hf_frame_header& header) {
    if (header.magic != HF_WIRE_MAGIC) return damaged_stream("no frame begins here");
    if (header.flags & ~HF_FRAME_ZSTD) return damaged_stream("a frame has flags that this version does not know");
    if (header.plain_bytes > HF_FRAME_PLAIN_BYTES_MAX || header.stored_bytes > HF_FRAME_STORED_BYTES_MAX)
        return damaged_stream("a frame is longer than the protocol allows");
    const bool is_packed = header.flags & HF_FRAME_ZSTD;
    if (!is_packed && header.plain_bytes != header.stored_bytes) return damaged_stream("a frame's lengths contradict each other");
    return ok();
}

// Holds until the thread packs or unpacks again.
Result<ByteSpan> unpacked(const hf_frame_header& header, ByteSpan stored) {
    Workspace& workspace = Workspace::of_this_thread();
    const MutableByteSpan plain = workspace.room(header.plain_bytes);
    const size_t size = ZSTD_decompressDCtx(workspace.unpacker(), plain.data(), plain.size(), stored.data(), stored.size());
    if (ZSTD_isError(size) || size != plain.size()) return damaged_stream("a packed frame cannot be unpacked");
    return ByteSpan(plain);
}

Result<Received> decode_frame(const hf_frame_header& header, ByteSpan stored) {
    if (frame_checksum(header, stored) != header.checksum) return damaged_stream("a frame's checksum does not fit");
    if (header.flags & HF_FRAME_ZSTD) stored = HF_TRY(unpacked(header, stored));
    if (hash(stored) != header.plain_checksum) return damaged_stream("the checksum of a frame's content does not fit");
    return Received{header.term, header.sent_ns, HF_TRY(decode_payload(header.type, stored))};
}

}  // namespace

Error damaged_stream(const std::string& what) {
    return {ErrorCode::corrupt, "the stream from the peer is damaged: " + what};
}

std::vector<std::byte> encode_frame(const Message& message, const FrameStamp& stamp) {
    hf_frame_header header{};
    std::vector<std::byte> frame(sizeof header);
    header.type = encode_payload(message, frame);
    const ByteSpan plain = ByteSpan(frame).subspan(sizeof header);
    HF_CHECK(plain.size() <= HF_FRAME_PLAIN_BYTES_MAX);
    header.magic = HF_WIRE_MAGIC;
    header.plain_bytes = static_cast<uint32_t>(plain.size());
    header.plain_checksum = hash(plain);
    header.term = stamp.term;
    header.sent_ns = stamp.sent_ns;
    if (const ByteSpan smaller = packed(plain, stamp.zstd_level); !smaller.empty()) {
        std::copy(smaller.begin(), smaller.end(), frame.begin() + sizeof header);
        frame.resize(sizeof header + smaller.size());
        header.flags = HF_FRAME_ZSTD;
    }
    const ByteSpan stored = ByteSpan(frame).subspan(sizeof header);
    header.stored_bytes = static_cast<uint32_t>(stored.size());
    header.checksum = frame_checksum(header, stored);
    memcpy(frame.data(), &header, sizeof header);
    return frame;
}

void FrameReader::append(ByteSpan bytes) {
    make_room(end_ - begin_ + bytes.size());
    std::copy(bytes.begin(), bytes.end(), buffer_.begin() + static_cast<ptrdiff_t>(end_));
    end_ += bytes.size();
}

// For BYTES in all. What is there is moved only when it stands in the way.
void FrameReader::make_room(size_t bytes) {
    if (begin_ + bytes <= buffer_.size()) return;
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_), buffer_.begin() + static_cast<ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
    if (bytes > buffer_.size()) buffer_.resize(bytes);
}

Result<std::optional<Received>> FrameReader::next() {
    hf_frame_header header{};
    if (end_ - begin_ < sizeof header) return std::optional<Received>();
    memcpy(&header, buffer_.data() + begin_, sizeof header);
    HF_TRY(check_header(header));
    const size_t whole = sizeof header + header.stored_bytes;
    if (end_ - begin_ < whole) {
        make_room(whole);
        return std::optional<Received>();
    }
    auto received = HF_TRY(decode_frame(header, ByteSpan(buffer_).subspan(begin_ + sizeof header, header.stored_bytes)));
    begin_ += whole;
    return std::optional<Received>(std::move(received));
}

}  // namespace holdfast::replicator
