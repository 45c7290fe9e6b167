#include "replicator/protocol/frame.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "replicator/protocol/message_codec.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

std::vector<std::byte> noise(size_t bytes, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> out(bytes);
    for (auto& byte : out) byte = std::byte(random());
    return out;
}

Position position(uint64_t lsn) {
    Position position{lsn, {}};
    for (size_t i = 0; i < position.chain.size(); ++i) position.chain[i] = static_cast<uint8_t>(lsn + i);
    return position;
}

// One of each, with no value left as it is made.
std::vector<Message> samples() {
    Hello hello{1, 7, Role::replica, {{1, 2, 3}}, 64 << 20, 3, true, true, 4096, 8192, position(123456)};
    return {hello,
            Probe{4711},
            PositionIs{4711, true, position(4700)},
            Verdict{Outcome::rewind, 99, "go back"},
            SegmentBegins{noise(80, 1)},
            Records{4096, 8192, noise(4096, 2)},
            Records{4096, 1 << 20, std::vector<std::byte>(100'000, std::byte{7})},
            Ack{30, 20, 10},
            Heartbeat{77},
            Goodbye{Reason::storage, "the disk is full"},
            RepairBegins{70'000, 5, position(65'536)},
            SyncBytes{noise(300, 4)},
            Compare{70'000},
            Compared{5, 6, 7, 8, 9, 10, true, false, true, "a list"},
            SyncBytes{},
            NextKey{{1, 2, 3}},
            KeyKept{{4, 5}},
            Streams{{6, 7}},
            Join{{8, 9}, 3},
            Joined{4},
            Elsewhere{5}};
}

// What a reader makes of BYTES: a message, nothing yet, or an error.
Result<std::optional<Received>> read_whole(ByteSpan bytes) {
    FrameReader reader;
    reader.append(bytes);
    return reader.next();
}

}  // namespace

TEST_CASE("frame: every message comes back as it was, packed or not") {
    for (const int level : {0, 1, 9}) {
        for (const Message& message : samples()) {
            auto read = read_whole(encode_frame(message, {5, 6, level}));
            REQUIRE(read.has_value());
            REQUIRE(read->has_value());
            CHECK((*read)->term == 5);
            CHECK((*read)->sent_ns == 6);
            CHECK((*read)->message == message);
        }
    }
}

TEST_CASE("frame: an older source's word that its journal begins with the whole tree is taken, changes nothing and is not passed on") {
    const Message greeting = samples()[0];
    std::vector<std::byte> payload;
    const uint16_t type = encode_payload(greeting, payload);
    hf_wire_hello wire;
    memcpy(&wire, payload.data(), sizeof wire);
    CHECK((wire.flags & HF_HELLO_RETIRED) == 0);
    wire.flags |= HF_HELLO_RETIRED;
    memcpy(payload.data(), &wire, sizeof wire);
    CHECK(decode_payload(type, payload).value() == greeting);
    wire.flags |= 0x8u;
    memcpy(payload.data(), &wire, sizeof wire);
    CHECK(decode_payload(type, payload).error().code == ErrorCode::corrupt);
}

TEST_CASE("frame: what repeats itself is packed, noise is sent as it is") {
    const Records same{0, 8, std::vector<std::byte>(100'000, std::byte{7})};
    CHECK(encode_frame(same, {1, 1, 1}).size() < 1000);
    CHECK(encode_frame(Records{0, 8, noise(100'000, 3)}, {1, 1, 1}).size() == sizeof(hf_frame_header) + sizeof(hf_wire_records) + 100'000);
}

TEST_CASE("frame: a stream in pieces of any size gives the same messages in order") {
    std::vector<std::byte> stream;
    for (const Message& message : samples()) {
        const auto frame = encode_frame(message, {1, 2, 1});
        stream.insert(stream.end(), frame.begin(), frame.end());
    }
    for (const size_t piece : {size_t{1}, size_t{47}, size_t{4096}, stream.size()}) {
        FrameReader reader;
        std::vector<Message> read;
        for (size_t at = 0; at < stream.size(); at += piece) {
            reader.append(ByteSpan(stream).subspan(at, std::min(piece, stream.size() - at)));
            for (;;) {
                auto next = reader.next();
                REQUIRE(next.has_value());
                if (!*next) break;
                read.push_back((*next)->message);
            }
        }
        CHECK(read == samples());
    }
}

TEST_CASE("frame: no bit can be turned over without being noticed") {
    for (const Message& message : samples()) {
        const auto frame = encode_frame(message, {5, 6, 1});
        const size_t step = std::max<size_t>(1, frame.size() * 8 / 4000);
        for (size_t bit = 0; bit < frame.size() * 8; bit += step) {
            auto damaged = frame;
            damaged[bit / 8] ^= std::byte(1 << bit % 8);
            auto read = read_whole(damaged);
            // A longer length waits for bytes that never come; everything else is an error.
            CHECK((!read || !*read));
        }
    }
}

TEST_CASE("frame: a length that no frame may have is refused before anything is allocated for it") {
    auto frame = encode_frame(Heartbeat{1}, {1, 1, 0});
    hf_frame_header header;
    memcpy(&header, frame.data(), sizeof header);
    header.stored_bytes = header.plain_bytes = HF_FRAME_PLAIN_BYTES_MAX + 1;
    memcpy(frame.data(), &header, sizeof header);
    auto read = read_whole(frame);
    REQUIRE(!read);
    CHECK(read.error().code == ErrorCode::corrupt);
}

TEST_CASE("frame: an end in the middle of a frame is no message") {
    const auto frame = encode_frame(samples()[5], {1, 1, 1});
    for (size_t bytes = 1; bytes < frame.size(); bytes += 13) {
        auto read = read_whole(ByteSpan(frame).first(bytes));
        REQUIRE(read.has_value());
        CHECK(!*read);
    }
}
