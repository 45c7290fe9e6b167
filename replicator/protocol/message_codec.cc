#include "replicator/protocol/message_codec.h"

#include <cstring>

#include "base/check.h"
#include "base/overloaded.h"
#include "journal/format.h"

namespace holdfast::replicator {

namespace {

void put(std::vector<std::byte>& out, ByteSpan bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

hf_wire_position to_wire(const Position& position) {
    hf_wire_position wire{position.lsn, {}};
    memcpy(wire.chain, position.chain.data(), sizeof wire.chain);
    return wire;
}

Position from_wire(const hf_wire_position& wire) {
    Position position{wire.lsn, {}};
    memcpy(position.chain.data(), wire.chain, sizeof wire.chain);
    return position;
}

hf_wire_hello to_wire(const Hello& hello) {
    hf_wire_hello wire{};
    wire.version_oldest = hello.version_oldest;
    wire.version = hello.version;
    wire.role = static_cast<uint32_t>(hello.role);
    memcpy(wire.volume, hello.volume.bytes.data(), sizeof wire.volume);
    wire.segment_bytes = hello.segment_bytes;
    wire.timeline = hello.timeline;
    wire.flags = (hello.is_empty ? HF_HELLO_EMPTY : 0) | (hello.is_unsound ? HF_HELLO_UNSOUND : 0);
    wire.oldest = hello.oldest;
    wire.window_begin = hello.window_begin;
    wire.end = to_wire(hello.end);
    return wire;
}

Error malformed(const char* what) {
    return {ErrorCode::corrupt, std::string("the peer sent a malformed ") + what};
}

// Takes a payload apart from the front. Once something was not there, the rest is not looked at.
class Payload {
public:
    explicit Payload(ByteSpan bytes) : rest_(bytes) {}

    template <typename T>
    T take() {
        T value{};
        if (rest_.size() < sizeof value) {
            is_whole_ = false;
            return value;
        }
        memcpy(&value, rest_.data(), sizeof value);
        rest_ = rest_.subspan(sizeof value);
        return value;
    }
    std::string text(uint32_t bytes, uint32_t bytes_max = HF_FRAME_SENTENCE_BYTES_MAX) {
        if (bytes > rest_.size() || bytes > bytes_max) {
            is_whole_ = false;
            return {};
        }
        std::string taken(reinterpret_cast<const char*>(rest_.data()), bytes);
        rest_ = rest_.subspan(bytes);
        return taken;
    }
    std::vector<std::byte> rest() {
        std::vector<std::byte> taken(rest_.begin(), rest_.end());
        rest_ = {};
        return taken;
    }
    bool is_done() const { return is_whole_ && rest_.empty(); }

private:
    ByteSpan rest_;
    bool is_whole_ = true;
};

Result<Message> decode_hello(Payload payload) {
    const auto wire = payload.take<hf_wire_hello>();
    const bool has_role = wire.role == HF_ROLE_SOURCE || wire.role == HF_ROLE_REPLICA;
    if (!payload.is_done() || !has_role || (wire.flags & ~(HF_HELLO_EMPTY | HF_HELLO_RETIRED | HF_HELLO_UNSOUND))) return malformed("greeting");
    Hello hello;
    hello.version_oldest = wire.version_oldest;
    hello.version = wire.version;
    hello.role = static_cast<Role>(wire.role);
    memcpy(hello.volume.bytes.data(), wire.volume, sizeof wire.volume);
    hello.segment_bytes = wire.segment_bytes;
    hello.timeline = wire.timeline;
    hello.is_empty = wire.flags & HF_HELLO_EMPTY;
    hello.is_unsound = wire.flags & HF_HELLO_UNSOUND;
    hello.oldest = wire.oldest;
    hello.window_begin = wire.window_begin;
    hello.end = from_wire(wire.end);
    return Message(hello);
}

Result<Message> decode_position(Payload payload) {
    const auto wire = payload.take<hf_wire_answer>();
    if (!payload.is_done() || wire.is_known > 1 || wire.reserved != 0) return malformed("position");
    return Message(PositionIs{wire.asked, wire.is_known == 1, from_wire(wire.position)});
}

Result<Message> decode_verdict(Payload payload) {
    const auto wire = payload.take<hf_wire_verdict>();
    std::string sentence = payload.text(wire.sentence_bytes);
    const bool is_known = wire.outcome >= static_cast<uint32_t>(Outcome::resume) && wire.outcome <= static_cast<uint32_t>(Outcome::refuse);
    if (!payload.is_done() || !is_known) return malformed("verdict");
    return Message(Verdict{static_cast<Outcome>(wire.outcome), wire.lsn, std::move(sentence)});
}

Result<Message> decode_goodbye(Payload payload) {
    const auto wire = payload.take<hf_wire_goodbye>();
    std::string sentence = payload.text(wire.sentence_bytes);
    const bool is_known = wire.code >= static_cast<uint32_t>(Reason::shutdown) && wire.code <= static_cast<uint32_t>(Reason::rest);
    if (!payload.is_done() || !is_known) return malformed("goodbye");
    return Message(Goodbye{static_cast<Reason>(wire.code), std::move(sentence)});
}

hf_wire_compared to_wire(const Compared& compared, size_t text_bytes) {
    const uint32_t flags = (compared.is_whole ? HF_COMPARED_WHOLE : 0) | (compared.was_asked ? HF_COMPARED_ASKED : 0) | (compared.has_failed ? HF_COMPARED_FAILED : 0);
    return {compared.at, compared.time_ns, compared.began_ns, compared.objects, compared.bytes, compared.differences, flags, static_cast<uint32_t>(text_bytes)};
}

Result<Message> decode_compared(Payload payload) {
    const auto wire = payload.take<hf_wire_compared>();
    std::string text = payload.text(wire.text_bytes, HF_FRAME_LIST_BYTES_MAX);
    if (!payload.is_done() || (wire.flags & ~(HF_COMPARED_WHOLE | HF_COMPARED_ASKED | HF_COMPARED_FAILED))) return malformed("result of a comparison");
    return Message(Compared{wire.at, wire.time_ns, wire.began_ns, wire.objects, wire.bytes, wire.differences, (wire.flags & HF_COMPARED_WHOLE) != 0,
                            (wire.flags & HF_COMPARED_ASKED) != 0, (wire.flags & HF_COMPARED_FAILED) != 0, std::move(text)});
}

Result<Message> decode_records(Payload payload) {
    const auto wire = payload.take<hf_wire_records>();
    Records records{wire.first, wire.end, payload.rest()};
    if (!payload.is_done() || records.bytes.empty() || wire.end <= wire.first) return malformed("batch of records");
    return Message(std::move(records));
}

bool is_side(uint32_t number) {
    return number >= 1 && number <= HF_SIDE_STREAMS_MAX;
}

Result<Message> decode_join(Payload payload) {
    const auto wire = payload.take<hf_wire_join>();
    if (!payload.is_done() || wire.reserved != 0 || !is_side(wire.number)) return malformed("joining of a session");
    return Message(Join{std::to_array(wire.session), wire.number});
}

// Joined or Elsewhere.
template <typename Told>
Result<Message> decode_side(Payload payload) {
    const auto wire = payload.take<hf_wire_side>();
    if (!payload.is_done() || !is_side(wire.number)) return malformed("number of a connection");
    return Message(Told{wire.number});
}

// A message that is one fixed structure whose values all make sense.
template <typename Wire, typename Make>
Result<Message> decode_fixed(Payload payload, const char* what, Make make) {
    const auto wire = payload.take<Wire>();
    if (!payload.is_done()) return malformed(what);
    return Message(make(wire));
}

}  // namespace

hf_frame_type encode_payload(const Message& message, std::vector<std::byte>& out) {
    const auto sentence_of = [](const std::string& text) { return std::string_view(text).substr(0, HF_FRAME_SENTENCE_BYTES_MAX); };
    return std::visit(
        Overloaded{
            [&](const Hello& hello) { return put(out, bytes_of(to_wire(hello))), HF_FRAME_HELLO; },
            [&](const Probe& probe) { return put(out, bytes_of(probe.at)), HF_FRAME_PROBE; },
            [&](const PositionIs& is) {
                put(out, bytes_of(hf_wire_answer{is.asked, is.is_known ? 1u : 0u, 0, to_wire(is.position)}));
                return HF_FRAME_POSITION;
            },
            [&](const Verdict& verdict) {
                const auto sentence = sentence_of(verdict.sentence);
                put(out, bytes_of(hf_wire_verdict{static_cast<uint32_t>(verdict.outcome), static_cast<uint32_t>(sentence.size()), verdict.lsn}));
                return put(out, bytes_of(sentence)), HF_FRAME_VERDICT;
            },
            [&](const SegmentBegins& segment) {
                HF_CHECK(segment.header.size() == sizeof(hf_segment_header));
                return put(out, segment.header), HF_FRAME_SEGMENT;
            },
            [&](const Records& records) {
                put(out, bytes_of(hf_wire_records{records.first, records.end}));
                return put(out, records.bytes), HF_FRAME_RECORDS;
            },
            [&](const Ack& ack) { return put(out, bytes_of(hf_wire_ack{ack.received, ack.durable, ack.applied})), HF_FRAME_ACK; },
            [&](const Heartbeat& beat) { return put(out, bytes_of(hf_wire_heartbeat{beat.published})), HF_FRAME_HEARTBEAT; },
            [&](const Goodbye& goodbye) {
                const auto sentence = sentence_of(goodbye.sentence);
                put(out, bytes_of(hf_wire_goodbye{static_cast<uint32_t>(goodbye.reason), static_cast<uint32_t>(sentence.size())}));
                return put(out, bytes_of(sentence)), HF_FRAME_GOODBYE;
            },
            [&](const RepairBegins& repair) {
                put(out, bytes_of(hf_wire_repair{repair.at, repair.time_ns, to_wire(repair.begin)}));
                return HF_FRAME_REPAIR;
            },
            [&](const SyncBytes& sync) {
                HF_CHECK(sync.bytes.size() <= HF_FRAME_SYNC_BYTES_MAX);
                return put(out, sync.bytes), HF_FRAME_SYNC;
            },
            [&](const Compare& compare) { return put(out, bytes_of(hf_wire_compare{compare.at})), HF_FRAME_COMPARE; },
            [&](const Compared& compared) {
                const auto text = std::string_view(compared.text).substr(0, HF_FRAME_LIST_BYTES_MAX);
                put(out, bytes_of(to_wire(compared, text.size())));
                return put(out, bytes_of(text)), HF_FRAME_COMPARED;
            },
            [&](const NextKey& next) { return put(out, bytes_of(next.key)), HF_FRAME_NEXT_KEY; },
            [&](const KeyKept& kept) { return put(out, bytes_of(kept.key)), HF_FRAME_KEY_KEPT; },
            [&](const Streams& streams) { return put(out, bytes_of(streams.session)), HF_FRAME_STREAMS; },
            [&](const Join& join) {
                hf_wire_join wire{{}, join.number, 0};
                memcpy(wire.session, join.session.data(), sizeof wire.session);
                return put(out, bytes_of(wire)), HF_FRAME_JOIN;
            },
            [&](const Joined& joined) { return put(out, bytes_of(hf_wire_side{joined.number})), HF_FRAME_JOINED; },
            [&](const Elsewhere& elsewhere) { return put(out, bytes_of(hf_wire_side{elsewhere.number})), HF_FRAME_ELSEWHERE; },
        },
        message);
}

Result<Message> decode_payload(uint16_t type, ByteSpan bytes) {
    Payload payload(bytes);
    switch (type) {
        case HF_FRAME_HELLO: return decode_hello(payload);
        case HF_FRAME_PROBE: return decode_fixed<uint64_t>(payload, "probe", [](uint64_t at) { return Probe{at}; });
        case HF_FRAME_POSITION: return decode_position(payload);
        case HF_FRAME_VERDICT: return decode_verdict(payload);
        case HF_FRAME_SEGMENT:
            if (bytes.size() != sizeof(hf_segment_header)) return malformed("segment header");
            return Message(SegmentBegins{payload.rest()});
        case HF_FRAME_RECORDS: return decode_records(payload);
        case HF_FRAME_ACK:
            return decode_fixed<hf_wire_ack>(payload, "acknowledgement", [](const hf_wire_ack& ack) { return Ack{ack.received, ack.durable, ack.applied}; });
        case HF_FRAME_HEARTBEAT:
            return decode_fixed<hf_wire_heartbeat>(payload, "heartbeat", [](const hf_wire_heartbeat& beat) { return Heartbeat{beat.published}; });
        case HF_FRAME_GOODBYE: return decode_goodbye(payload);
        case HF_FRAME_REPAIR:
            return decode_fixed<hf_wire_repair>(payload, "repair", [](const hf_wire_repair& wire) { return RepairBegins{wire.at, wire.time_ns, from_wire(wire.begin)}; });
        case HF_FRAME_SYNC:
            if (bytes.size() > HF_FRAME_SYNC_BYTES_MAX) return malformed("piece of a comparison");
            return Message(SyncBytes{payload.rest()});
        case HF_FRAME_COMPARE: return decode_fixed<hf_wire_compare>(payload, "comparison", [](const hf_wire_compare& wire) { return Compare{wire.at}; });
        case HF_FRAME_COMPARED: return decode_compared(payload);
        case HF_FRAME_NEXT_KEY: return decode_fixed<hf_wire_key>(payload, "key", [](const hf_wire_key& key) { return NextKey{std::to_array(key.fingerprint)}; });
        case HF_FRAME_KEY_KEPT: return decode_fixed<hf_wire_key>(payload, "key", [](const hf_wire_key& key) { return KeyKept{std::to_array(key.fingerprint)}; });
        case HF_FRAME_STREAMS: return decode_fixed<hf_wire_streams>(payload, "name of a session", [](const hf_wire_streams& wire) { return Streams{std::to_array(wire.session)}; });
        case HF_FRAME_JOIN: return decode_join(payload);
        case HF_FRAME_JOINED: return decode_side<Joined>(payload);
        case HF_FRAME_ELSEWHERE: return decode_side<Elsewhere>(payload);
    }
    return Error{ErrorCode::unsupported, "the peer sent a message of type " + std::to_string(type) + ", which this version does not know"};
}

}  // namespace holdfast::replicator
