// Arbitrary bytes as the payload of each type of message, with a header that is right. What is accepted must be the one way to say
// it: it encodes to the same bytes again, but for the flag of a greeting that is taken from older versions and says nothing any more.
//
// Input: the type, then the payload.

#include <algorithm>

#include "base/check.h"
#include "replicator/protocol/message_codec.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::replicator;

std::vector<fuzz::Input> fuzz::seeds() {
    const std::vector<std::byte> header(sizeof(hf_segment_header)), bytes(100, std::byte{1});
    std::vector<Input> all;
    for (const Message& message : std::initializer_list<Message>{Hello{}, Probe{1}, PositionIs{1, true, {2, {}}}, Verdict{Outcome::refuse, 5, "because"}, SegmentBegins{header},
                                                                 Records{1, 2, bytes}, Ack{1, 2, 3}, Heartbeat{4}, Goodbye{Reason::shutdown, "bye"}, RepairBegins{5, 6, {4, {}}}, SyncBytes{bytes}, Compare{1}, Compared{1, 2, 3, 4, 5, 6, true, true, false, "x"}, NextKey{{1, 2}}, KeyKept{{3}}}) {
        std::vector<std::byte> payload;
        const auto type = static_cast<uint8_t>(encode_payload(message, payload));
        all.push_back(joined({type}, input_of(payload)));
    }
    return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::vector<std::byte> payload = fuzz::copy_of(data + 1, size - 1);
    const auto message = decode_payload(data[0], payload);
    if (!message) return 0;
    if (std::holds_alternative<Hello>(*message)) payload[offsetof(hf_wire_hello, flags)] &= ~static_cast<std::byte>(HF_HELLO_RETIRED);
    std::vector<std::byte> again;
    HF_CHECK(encode_payload(*message, again) == data[0]);
    HF_CHECK(std::equal(again.begin(), again.end(), payload.begin(), payload.end()));
    const auto same = decode_payload(data[0], again);
    HF_CHECK(same && *same == *message);
    return 0;
}
