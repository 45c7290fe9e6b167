// One end of a TLS 1.3 connection as a machine: bytes from the socket in, bytes for the socket out; no socket inside.
//
// Both ends show exactly one certificate, self-signed by its Ed25519 key. TLS proves that the other end holds that key;
// the key's fingerprint decides whether it is admitted, in the middle of the handshake: a stranger is refused before one
// byte of ours is parsed. There is nothing to negotiate but what is fixed here: TLS 1.3, one list of suites, X25519 or
// P-256, Ed25519. No resumption, tickets, early data, compression or renegotiation.
//
// Purposes are told apart by ALPN: a link and control admit whom their Admit admits; pairing admits anyone, because the proof of the
// code follows inside (pairing.h), and a server offers it only while it shows a code.
//
// In TLS 1.3 a client has finished before the server has judged it. So is_established() on a client says that the server
// was admitted, not that the client was: a refusal comes as the error of a later receive() or read().
//
// Thread rule: one thread. Ownership: keeps what it needs of the identity.
// Errors: permission: not admitted, by us or by the other end; unsupported: nothing in common; foreign: not TLS, or a
// certificate of another kind; corrupt: a damaged stream; no_space: a stranger sent too much. Every error is final and
// comes again from each call; take_output() still gives the alert that tells the other end.
// Limits: below. What is written waits in memory until it is taken, so the caller takes after each write.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "replicator/trust/identity.h"
#include "replicator/trust/openssl.h"

namespace holdfast::replicator {

inline constexpr size_t tls_input_bytes_max = 64 << 10;   // in one receive, and of a handshake that has not ended
inline constexpr size_t tls_write_bytes_max = 16 << 20;   // in one write
inline constexpr size_t tls_certificate_bytes_max = 4096;  // ours are about 300

enum class Purpose { link, pairing, control };

class TlsChannel {
public:
    // Asked about the other end's key, once, in a handshake for a link. Must not throw.
    using Admit = std::function<bool(const Fingerprint&)>;
    struct Offer {
        bool pairing = false;  // beside links and control
    };

    static Result<std::unique_ptr<TlsChannel>> client(const Identity& identity, Purpose purpose, Admit admit);
    static Result<std::unique_ptr<TlsChannel>> server(const Identity& identity, Offer offer, Admit admit);
    TlsChannel(const TlsChannel&) = delete;
    TlsChannel& operator=(const TlsChannel&) = delete;

    // REQUIRES: at most tls_input_bytes_max, and once established, that read() gave 0 since the last receive. So what is
    // held of the stream is one unfinished TLS record and these bytes. What comes after the other end's goodbye is dropped.
    Status receive(ByteSpan ciphertext);
    // Everything that waits for the socket. A new client's greeting waits there already.
    std::vector<std::byte> take_output();
    size_t output_bytes() const;  // how much that is

    // REQUIRES: is_established(), not closed by us, at most tls_write_bytes_max.
    Status write(ByteSpan plain);
    // REQUIRES: room for at least one byte. 0: nothing now, or nothing any more if is_closed().
    Result<size_t> read(MutableByteSpan plain);
    // Says that nothing more comes from us.
    void close();

    bool is_established() const { return is_established_; }
    // The other end said that nothing more comes. A socket that ends without this was cut off.
    bool is_closed() const { return is_closed_; }

    // REQUIRES: is_established().
    const Fingerprint& peer() const;
    Purpose purpose() const;
    // 32 bytes that both ends of this one connection know and nobody else (RFC 8446, 7.5). Covers the server's part of the
    // handshake but not the client's certificate: bind that by its fingerprint.
    Result<Secret<32>> exporter(std::string_view label) const;

private:
    // Of those that are accepted; a client asks for one.
    struct Purposes {
        bool link = false, pairing = false, control = false;
        bool has(std::string_view protocol) const;
    };
    TlsChannel(Purposes purposes, Admit admit) : purposes_(purposes), admit_(std::move(admit)) {}
    static Result<std::unique_ptr<TlsChannel>> make(const Identity& identity, const SSL_METHOD* method, Purposes purposes, Admit admit);

    static int verify(X509_STORE_CTX* store, void* channel);
    static int choose_purpose(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                              unsigned offered_size, void* channel);
    Status judge(X509_STORE_CTX& store);
    Status step();
    Error fail(Error error);
    Error fail(int ssl_result, std::string_view what);

    const Purposes purposes_;
    const Admit admit_;
    TlsContextPtr context_;
    TlsPtr tls_;
    BIO* input_ = nullptr;   // owned by tls_
    BIO* output_ = nullptr;  // owned by tls_

    size_t handshake_bytes_ = 0;
    bool is_established_ = false, is_closed_ = false, is_closed_by_us_ = false;
    Fingerprint peer_;
    std::optional<Error> verdict_;  // why judge refused, for the error that OpenSSL then reports
    std::optional<Error> failure_;
};

}  // namespace holdfast::replicator
