// SPAKE2 (RFC 9382) with P-256, SHA-256, HKDF and HMAC: two ends that know the same short password prove it to each other.
// Who does not know it, on the wire or at the other end, may check one guess by each exchange and nothing afterwards.
// Only the arithmetic is here; who sends what when is pairing.h.
//
// Thread rule: plain values and pure functions. Secrets are wiped when they go, and multiplied in constant time.
// Errors: foreign for bytes of the other end that are no usable point; io when OpenSSL fails.
#pragma once

#include <array>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "replicator/trust/openssl.h"

namespace holdfast::replicator {

using Spake2Share = std::array<uint8_t, 65>;  // a point, uncompressed
using Spake2Confirmation = std::array<uint8_t, 32>;
using Spake2Scalar = Secret<32>;  // big-endian, below the order of the group

// The first of the two who speak is A in the RFC, the other B.
enum class Spake2Role { a, b };

struct Spake2Keys {
    Secret<16> encryption, authentication;    // Ke, Ka
    Secret<16> confirm_a, confirm_b;          // KcA, KcB
    Spake2Confirmation confirmation_a{}, confirmation_b{};
};

// What both must agree on beside the password, or their confirmations differ.
struct Spake2Context {
    std::string_view identity_a, identity_b;
    std::string_view additional;  // the RFC's AAD
};

// A secret of one exchange; never used twice.
Result<Spake2Scalar> random_spake2_scalar();
// Uniform below the order for 40 or more evenly spread bytes.
Result<Spake2Scalar> reduce_to_spake2_scalar(ByteSpan bytes);

// pA or pB.
Result<Spake2Share> spake2_share(Spake2Role role, const Spake2Scalar& password, const Spake2Scalar& secret);
// From our share and secret, and THEIRS, which is checked.
Result<Spake2Keys> spake2_keys(Spake2Role role, const Spake2Scalar& password, const Spake2Scalar& secret, const Spake2Share& ours,
                               const Spake2Share& theirs, const Spake2Context& context);

}  // namespace holdfast::replicator
