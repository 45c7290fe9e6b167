// Arbitrary bytes as the list of peers. What is accepted is written as something that is read as the same.

#include "base/check.h"
#include "replicator/trust/peers_json.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::replicator;

std::vector<fuzz::Input> fuzz::seeds() {
    Fingerprint key;
    key.bytes[0] = 1;
    return {input_of(peers_to_json({{"a", {key}, "host:1"}, {"b", {key, key}, ""}})), input_of(peers_to_json({})), input_of("{\"version\": 2, \"peers\": [[]]}")};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = fuzz::copy_of(data, size);
    const auto peers = peers_from_json({reinterpret_cast<const char*>(bytes.data()), size});
    if (!peers) {
        HF_CHECK(peers.error().code == ErrorCode::corrupt || peers.error().code == ErrorCode::unsupported);
        HF_CHECK(!peers.error().message.empty());
        return 0;
    }
    const auto again = peers_from_json(peers_to_json(*peers));
    HF_CHECK(again && *again == *peers);
    return 0;
}
