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

// The payload packed behind SKIP bytes; empty when that does not pay.
std::vector<std::byte> packed(ByteSpan plain, int level, size_t skip) {
    if (level == 0 || plain.size() < packing_bytes_min) return {};
    std::vector<std::byte> out(skip + ZSTD_compressBound(plain.size()));
    const size_t size = ZSTD_compress(out.data() + skip, out.size() - skip, plain.data(), plain.size(), level);
    // What saves less than an eighth is not worth the other side's time.
    if (ZSTD_isError(size) || size > plain.size() - plain.size() / 8) return {};
    out.resize(skip + size);
    return out;
}

Error broken(const std::string& what) {
    return {ErrorCode::corrupt, "the stream from the peer is damaged: " + what};
}

Status check_header(const hf_frame_header& header) {
    if (header.magic != HF_WIRE_MAGIC) return broken("no frame begins here");
    if (header.flags & ~HF_FRAME_ZSTD) return broken("a frame has flags that this version does not know");
    if (header.plain_bytes > HF_FRAME_PLAIN_BYTES_MAX || header.stored_bytes > HF_FRAME_STORED_BYTES_MAX)
        return broken("a frame is longer than the protocol allows");
    const bool is_packed = header.flags & HF_FRAME_ZSTD;
    if (!is_packed && header.plain_bytes != header.stored_bytes) return broken("a frame's lengths contradict each other");
    return ok();
}

Result<std::vector<std::byte>> unpacked(const hf_frame_header& header, ByteSpan stored) {
    std::vector<std::byte> plain(header.plain_bytes);
    const size_t size = ZSTD_decompress(plain.data(), plain.size(), stored.data(), stored.size());
    if (ZSTD_isError(size) || size != plain.size()) return broken("a packed frame cannot be unpacked");
    return plain;
}

Result<Received> decode_frame(const hf_frame_header& header, ByteSpan stored) {
    if (frame_checksum(header, stored) != header.checksum) return broken("a frame's checksum does not fit");
    std::vector<std::byte> storage;
    if (header.flags & HF_FRAME_ZSTD) {
        storage = HF_TRY(unpacked(header, stored));
        stored = storage;
    }
    if (hash(stored) != header.plain_checksum) return broken("the checksum of a frame's content does not fit");
    return Received{header.term, header.sent_ns, HF_TRY(decode_payload(header.type, stored))};
}

}  // namespace

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
    if (auto smaller = packed(plain, stamp.zstd_level, sizeof header); !smaller.empty()) {
        frame = std::move(smaller);
        header.flags = HF_FRAME_ZSTD;
    }
    const ByteSpan stored = ByteSpan(frame).subspan(sizeof header);
    header.stored_bytes = static_cast<uint32_t>(stored.size());
    header.checksum = frame_checksum(header, stored);
    memcpy(frame.data(), &header, sizeof header);
    return frame;
}

MutableByteSpan FrameReader::room() {
    if (begin_ > 0) {
        std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_), buffer_.begin() + static_cast<ptrdiff_t>(end_), buffer_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    return MutableByteSpan(buffer_).subspan(end_);
}

void FrameReader::filled(size_t bytes) {
    HF_CHECK(bytes <= buffer_.size() - end_);
    end_ += bytes;
}

Result<std::optional<Received>> FrameReader::next() {
    hf_frame_header header{};
    if (end_ - begin_ < sizeof header) return std::optional<Received>();
    memcpy(&header, buffer_.data() + begin_, sizeof header);
    HF_TRY(check_header(header));
    const size_t whole = sizeof header + header.stored_bytes;
    if (end_ - begin_ < whole) {
        if (buffer_.size() < whole) {
            (void)room();
            buffer_.resize(whole);
        }
        return std::optional<Received>();
    }
    auto received = HF_TRY(decode_frame(header, ByteSpan(buffer_).subspan(begin_ + sizeof header, header.stored_bytes)));
    begin_ += whole;
    return std::optional<Received>(std::move(received));
}

}  // namespace holdfast::replicator
