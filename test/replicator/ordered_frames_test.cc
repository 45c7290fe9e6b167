#include "replicator/protocol/ordered_frames.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

std::vector<std::byte> framed(const Message& message) {
    return encode_frame(message, {1, 2, 1});
}

Records batch(uint64_t number, size_t bytes) {
    return {number, number + 1, std::vector<std::byte>(bytes, std::byte(number))};
}

// What a source sends: the messages, and the bytes of each connection.
struct Sent {
    std::vector<Message> messages;
    std::vector<std::vector<std::byte>> streams = std::vector<std::vector<std::byte>>(HF_SIDE_STREAMS_MAX + 1);

    void put(uint32_t number, const Message& message) {
        const auto frame = framed(message);
        streams[number].insert(streams[number].end(), frame.begin(), frame.end());
    }
};

Sent random_session(std::mt19937_64& random) {
    Sent sent;
    for (uint64_t number = 1; number <= 60; ++number) {
        const bool is_long = random() % 2;
        sent.messages.push_back(is_long ? Message(batch(number, 1 + random() % 20'000)) : Message(Heartbeat{number}));
        const auto side = static_cast<uint32_t>(is_long ? random() % (HF_SIDE_STREAMS_MAX + 1) : 0);
        if (side > 0) sent.put(0, Elsewhere{side});
        sent.put(side, sent.messages.back());
    }
    return sent;
}

OrderedFrames all_open() {
    OrderedFrames frames;
    for (uint32_t number = 1; number <= HF_SIDE_STREAMS_MAX; ++number) frames.open(number, FrameReader());
    return frames;
}

}  // namespace

TEST_CASE("ordered frames: the messages come in their order, however the connections run against each other") {
    const uint64_t seed = GENERATE(range(1, 40));
    std::mt19937_64 random(seed);
    INFO("seed " << seed);
    Sent sent = random_session(random);
    OrderedFrames frames = all_open();
    std::vector<Message> heard;
    std::vector<size_t> done(sent.streams.size());
    for (size_t left = 1; left > 0;) {
        const auto number = static_cast<uint32_t>(random() % sent.streams.size());
        const ByteSpan rest = ByteSpan(sent.streams[number]).subspan(done[number]);
        if (!rest.empty() && frames.has_room(number)) {
            const ByteSpan piece = rest.first(std::min<size_t>(rest.size(), 1 + random() % 9000));
            frames.append(number, piece);
            done[number] += piece.size();
        }
        while (auto next = frames.next().value()) heard.push_back(std::move(next->message));
        left = 0;
        for (size_t stream = 0; stream < done.size(); ++stream) left += sent.streams[stream].size() - done[stream];
    }
    CHECK(heard == sent.messages);
}

TEST_CASE("ordered frames: a connection that is ahead is read until it has a whole message, and the one whose turn it is without end") {
    OrderedFrames frames = all_open();
    const auto largest = framed(batch(1, HF_FRAME_PLAIN_BYTES_MAX - sizeof(hf_wire_records)));
    for (size_t at = 0; at < largest.size(); at += 64 << 10) {
        REQUIRE(frames.has_room(3));
        frames.append(3, ByteSpan(largest).subspan(at, std::min<size_t>(64 << 10, largest.size() - at)));
        REQUIRE_FALSE(frames.next().value());
    }
    frames.append(3, ByteSpan(std::vector<std::byte>(ordered_waiting_bytes_max)));
    CHECK_FALSE(frames.has_room(3));
    CHECK(frames.has_room(0));
    frames.append(0, framed(Elsewhere{3}));
    REQUIRE(frames.next().value());
}

TEST_CASE("ordered frames: what a peer must not say ends the stream") {
    OrderedFrames frames;
    frames.open(2, FrameReader());
    SECTION("a connection that is not there") { frames.append(0, framed(Elsewhere{1})); }
    SECTION("what belongs on the first connection") {
        frames.append(0, framed(Elsewhere{2}));
        frames.append(2, framed(Heartbeat{1}));
    }
    SECTION("that a message comes elsewhere, elsewhere") {
        frames.append(0, framed(Elsewhere{2}));
        frames.append(2, framed(Elsewhere{2}));
    }
    const auto next = frames.next();
    REQUIRE_FALSE(next);
    CHECK(next.error().code == ErrorCode::corrupt);
}
