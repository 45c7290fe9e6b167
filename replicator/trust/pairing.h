// The proof, inside a TLS channel of purpose pairing, that both ends were given the same code by the same person.
//
//   client (where the code is typed)                 server (which shows it)
//      share                          ------>
//                                     <------        share, confirmation
//      confirmation                   ------>
//
// TLS alone says only that the other end holds the key that it shows. The proof ties the code to both keys' fingerprints and
// to the secret of this one TLS connection: someone in the middle has two connections with other keys and other secrets, so
// whatever he passes on or repeats proves nothing, and his own guess of the code is one guess.
//
// The server confirms first, so a client learns first whether its guess was right. That is why PairingOffer counts an attempt
// when it begins. After a failure nothing more is sent; the caller closes the channel.
//
// A state machine: bytes in, bytes out, no clock, socket or thread. Thread rule: one thread.
// Errors: permission: the other end does not know the code, or somebody sits between; foreign: no proof at all. Final.
#pragma once

#include <optional>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "replicator/trust/identity.h"
#include "replicator/trust/openssl.h"
#include "replicator/trust/pairing_code.h"
#include "replicator/trust/peers.h"
#include "replicator/trust/spake2.h"

namespace holdfast::replicator {

// For TlsChannel::exporter.
inline constexpr std::string_view pairing_exporter_label = "EXPORTER-holdfast-pair/1";

struct PairingBinding {
    Fingerprint client, server;
    Secret<32> exporter;
};

class PairingSide {
public:
    enum class Role { client, server };

    // Costs 16 MiB and some ten milliseconds: REQUIRES, on the server, that PairingOffer::begin has allowed the attempt.
    static Result<PairingSide> make(Role role, const PairingCode& code, const PairingBinding& binding);
    // With a secret of the caller's choice, which only a test may choose.
    static Result<PairingSide> make(Role role, const PairingCode& code, const PairingBinding& binding, const Spake2Scalar& secret);

    // The client's first message; empty on a server. Once.
    std::vector<std::byte> start();
    // The size of the message that is awaited: exactly so many bytes are read and handed to on_message. 0: none.
    size_t awaited_bytes() const;
    // Takes the awaited message; returns the answer, which may be empty.
    Result<std::vector<std::byte>> on_message(ByteSpan message);
    // The other end has proved the code. A client's last message is still to be sent.
    bool is_done() const { return state_ == State::done; }

private:
    enum class State { fresh, awaits_share, awaits_share_and_confirmation, awaits_confirmation, done, failed };

    PairingSide(Role role, const PairingBinding& binding) : role_(role), binding_(binding) {}
    Status answer_share(ByteSpan theirs);
    Status check_confirmation(ByteSpan theirs);
    Result<std::vector<std::byte>> advance(ByteSpan message);

    Role role_;
    PairingBinding binding_;
    State state_ = State::fresh;
    Spake2Scalar password_, secret_;
    Spake2Share share_{};
    std::optional<Spake2Keys> keys_;
};

// What both ends tell each other once the code is proved; TLS protects it. A fixed size, so that nothing has to be parsed to
// know how much to read: two lengths, then both texts, the rest zero.
struct Introduction {
    std::string name;     // a peer's name
    std::string address;  // where it listens, or empty
    bool operator==(const Introduction&) const = default;
};
inline constexpr size_t introduction_bytes = 2 + peer_name_bytes_max + peer_address_bytes_max;

// REQUIRES: name and address pass check_peer_name and check_peer_address.
std::vector<std::byte> encode_introduction(const Introduction& introduction);
// Error foreign.
Result<Introduction> decode_introduction(ByteSpan bytes);

}  // namespace holdfast::replicator
