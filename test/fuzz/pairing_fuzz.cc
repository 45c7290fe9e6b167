// Arbitrary bytes as what a stranger says while he is being paired: the messages of the proof on either side, the introduction
// behind it, and what a person types as a code. The sides begin with secrets that are always the same, so that a run can be repeated.
//
// Input: which of them, then the bytes.

#include "base/check.h"
#include "replicator/trust/pairing.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

// Making a side costs some ten milliseconds: once, and copied for each run.
PairingSide side(PairingSide::Role role) {
    const auto make = [](PairingSide::Role made) {
        Spake2Scalar secret;
        secret[31] = made == PairingSide::Role::client ? 7 : 9;
        return PairingSide::make(made, *PairingCode::parse("7KQ2MX9TD"), PairingBinding{}, secret).value();
    };
    static const PairingSide client = make(PairingSide::Role::client), server = make(PairingSide::Role::server);
    return role == PairingSide::Role::client ? client : server;
}

// Every byte but those of the right proof ends it; then nothing is awaited any more.
void try_proof(PairingSide one, ByteSpan bytes) {
    (void)one.start();
    while (!one.is_done() && one.awaited_bytes() > 0 && bytes.size() >= one.awaited_bytes()) {
        const size_t taken = one.awaited_bytes();
        if (!one.on_message(bytes.first(taken))) {
            HF_CHECK(one.awaited_bytes() == 0 && !one.is_done());
            return;
        }
        bytes = bytes.subspan(taken);
    }
}

void try_introduction(ByteSpan bytes) {
    const auto introduction = decode_introduction(bytes);
    if (!introduction) return;
    HF_CHECK(check_peer_name(introduction->name) && check_peer_address(introduction->address));
    const auto again = encode_introduction(*introduction);
    HF_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

void try_code(std::string_view typed) {
    const auto code = PairingCode::parse(typed);
    if (!code) return;
    HF_CHECK(code->letters().size() == pairing_code_letters);
    HF_CHECK(PairingCode::parse(code->show())->letters() == code->letters());
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    PairingSide client = side(PairingSide::Role::client), server = side(PairingSide::Role::server);
    const auto share = client.start();
    const auto answer = server.on_message(share).value();
    const auto proof = client.on_message(answer).value();
    return {joined({0}, input_of(answer)), joined({1}, joined(input_of(share), input_of(proof))), joined({2}, input_of(encode_introduction({"alpha", "host:1"}))),
            joined({3}, input_of("7kq-2mx 9TD"))};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const auto bytes = fuzz::copy_of(data + 1, size - 1);
    switch (data[0] % 4) {
        case 0: try_proof(side(PairingSide::Role::client), bytes); break;
        case 1: try_proof(side(PairingSide::Role::server), bytes); break;
        case 2: try_introduction(bytes); break;
        case 3: try_code(fuzz::text_of(data + 1, size - 1)); break;
    }
    return 0;
}
