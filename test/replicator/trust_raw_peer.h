// The other end of a TLS connection in tests, with every freedom that a TlsChannel does not have: other keys, versions, suites,
// names, sessions. And the wire between two ends, where bytes can be counted, cut and changed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "replicator/trust/openssl.h"
#include "replicator/trust/tls_channel.h"

namespace holdfast::test {

using Bytes = std::vector<std::byte>;

struct Credentials {
    replicator::KeyPtr key;
    replicator::CertificatePtr certificate;
};
// Of type "ED25519", "RSA" or "EC"; signed by ISSUER's key or, without one, by its own; with the issuer's name in it.
Credentials make_credentials(const char* type, const Credentials* issuer = nullptr, const char* issuer_name = "holdfast");
// The identity's own, so that a raw end can be one that is admitted.
Credentials credentials_of(const replicator::Identity& identity);

struct RawOptions {
    const Credentials* credentials = nullptr;  // none: shows no certificate
    const Credentials* also = nullptr;         // a second certificate in the chain
    std::string protocols = "holdfast/1";      // one ALPN name, or empty for none
    int version_min = TLS1_3_VERSION, version_max = TLS1_3_VERSION;
    const char* suites = nullptr;
    const char* groups = nullptr;
    const char* signatures = nullptr;
    SSL_SESSION* session = nullptr;  // offered for resumption
    std::string early_data;
};

// A plain OpenSSL end over memory.
class RawPeer {
public:
    RawPeer(bool is_server, const RawOptions& options);
    Bytes exchange(ByteSpan input);  // what it answers to INPUT
    bool is_established() const { return SSL_is_init_finished(tls_.get()) == 1; }
    SSL* tls() const { return tls_.get(); }
    std::string received() const { return received_; }

private:
    replicator::TlsContextPtr context_;
    replicator::TlsPtr tls_;
    BIO *input_ = nullptr, *output_ = nullptr;
    std::string protocols_, received_, early_data_;
};

// Feeds BYTES in pieces of at most PIECE, reading what can be read into *PLAIN after each. The first error, if any.
Status feed(replicator::TlsChannel& channel, ByteSpan bytes, std::string* plain = nullptr, size_t piece = 64 << 10);
// Carries bytes both ways until neither end has anything to say; the errors of the ends.
struct Ends {
    Status client, server;
};
// CHANGE may alter what passes: direction (true: from the client), number of the bytes in that direction, the bytes.
using Change = std::function<void(bool, size_t, Bytes&)>;
Ends connect(replicator::TlsChannel& client, replicator::TlsChannel& server, size_t piece = 64 << 10, const Change& change = {});

}  // namespace holdfast::test
