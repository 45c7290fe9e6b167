// What every TLS connection between two hosts is fixed to; tls_channel.h says what for.
// Thread rule: pure functions.
#pragma once

#include <string_view>

#include "replicator/trust/identity.h"
#include "replicator/trust/openssl.h"
#include "replicator/trust/tls_channel.h"

namespace holdfast::replicator {

// AES-256-GCM, because replicated history is worth recording today and reading in decades, and processors of the last
// decade have instructions for it: the disks and the network are slower than either length of key. Two hosts of this
// version always agree on it. ChaCha20 is understood beside it, so that a processor without such instructions can one day
// ask for it without a change at the other end.
inline constexpr char tls_suites[] = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
inline constexpr char tls_groups[] = "X25519:P-256";
inline constexpr char tls_signatures[] = "ed25519";

// The ALPN name.
inline constexpr std::string_view protocol_name(Purpose purpose) {
    switch (purpose) {
        case Purpose::link: return "holdfast/1";
        case Purpose::pairing: return "holdfast-pair/1";
        case Purpose::control: return "holdfast-control/1";
    }
    return {};
}

Result<TlsContextPtr> make_tls_context(const Identity& identity, const SSL_METHOD* method);

}  // namespace holdfast::replicator
