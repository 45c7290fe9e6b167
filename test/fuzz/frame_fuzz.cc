// Arbitrary bytes as the stream from a peer, cut into arbitrary pieces: first as they are, then with the lengths and checksums of
// what looks like frames made right, because otherwise nearly every input would end there.
//
// What a stream says must not depend on how it was cut, and what decodes must encode to what decodes to the same.

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "replicator/protocol/frame.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

// Input: a byte for how it is cut, then the stream.
struct Heard {
    std::vector<Received> messages;
    std::optional<ErrorCode> end;
};

Heard hear(ByteSpan stream, size_t piece) {
    Heard heard;
    FrameReader frames;
    while (!stream.empty()) {
        const ByteSpan next_piece = stream.first(std::min(stream.size(), piece));
        frames.append(next_piece);
        stream = stream.subspan(next_piece.size());
        for (;;) {
            auto next = frames.next();
            if (!next) {
                heard.end = next.error().code;
                return heard;
            }
            if (!*next) break;
            heard.messages.push_back(std::move(**next));
        }
    }
    return heard;
}

bool is_same(const Received& a, const Received& b) {
    return a.term == b.term && a.sent_ns == b.sent_ns && a.message == b.message;
}

void try_again(const Received& received) {
    for (const int level : {0, 1}) {
        const auto frame = encode_frame(received.message, {received.term, received.sent_ns, level});
        const Heard again = hear(frame, frame.size());
        HF_CHECK(again.messages.size() == 1 && !again.end);
        HF_CHECK(is_same(again.messages[0], received));
    }
}

void try_stream(ByteSpan stream, size_t piece) {
    const Heard whole = hear(stream, stream.size()), cut = hear(stream, piece);
    HF_CHECK(whole.end == cut.end);
    HF_CHECK(std::equal(whole.messages.begin(), whole.messages.end(), cut.messages.begin(), cut.messages.end(), is_same));
    for (const Received& received : whole.messages) try_again(received);
}

void make_right(std::vector<std::byte>& stream) {
    for (size_t at = 0; stream.size() - at >= sizeof(hf_frame_header);) {
        hf_frame_header header;
        memcpy(&header, stream.data() + at, sizeof header);
        const size_t rest = stream.size() - at - sizeof header;
        header.magic = HF_WIRE_MAGIC;
        header.stored_bytes = static_cast<uint32_t>(std::min<size_t>(header.stored_bytes % 5000, rest));
        const ByteSpan stored = ByteSpan(stream).subspan(at + sizeof header, header.stored_bytes);
        ByteSpan plain = stored;
        std::vector<std::byte> unpacked(64 << 10);
        if (header.flags & HF_FRAME_ZSTD) {
            const size_t size = ZSTD_decompress(unpacked.data(), unpacked.size(), stored.data(), stored.size());
            if (!ZSTD_isError(size)) plain = ByteSpan(unpacked).first(size);
        }
        header.plain_bytes = static_cast<uint32_t>(plain.size());
        header.plain_checksum = XXH3_64bits(plain.data(), plain.size());
        header.checksum = 0;
        header.checksum = XXH3_64bits_withSeed(stored.data(), stored.size(), XXH3_64bits(&header, sizeof header));
        memcpy(stream.data() + at, &header, sizeof header);
        at += sizeof header + header.stored_bytes;
    }
}

fuzz::Input sample(uint8_t cut, std::initializer_list<Message> messages) {
    fuzz::Input all{cut};
    for (const Message& message : messages) all = fuzz::joined(all, fuzz::input_of(ByteSpan(encode_frame(message, {1, 2, 1}))));
    return all;
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    const std::vector<std::byte> bytes(3000, std::byte{7}), header(sizeof(hf_segment_header));
    return {sample(1, {Hello{}, Probe{1}, PositionIs{1, true, {2, {}}}, Heartbeat{3}}), sample(40, {Verdict{Outcome::resume, 5, "so"}, SegmentBegins{header}}),
            sample(200, {Records{1, 2, bytes}, Ack{1, 2, 3}, Goodbye{Reason::silence, "why"}}),
            sample(60, {Verdict{Outcome::repair, 5, "so"}, RepairBegins{5, 6, {4, {}}}, SyncBytes{bytes}}),
            sample(50, {Streams{{1}}, Join{{1}, 2}, Joined{2}, Elsewhere{2}})};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    std::vector<std::byte> stream = fuzz::copy_of(data + 1, size - 1);
    const size_t piece = data[0] % 64 + 1;
    try_stream(stream, piece);
    make_right(stream);
    try_stream(stream, piece);
    return 0;
}
