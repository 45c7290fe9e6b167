#include "test/replicator/trust_raw_peer.h"

#include <openssl/err.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

namespace holdfast::test {

using namespace replicator;

Credentials make_credentials(const char* type, const Credentials* issuer, const char* issuer_name) {
    Credentials made;
    if (std::string_view(type) == "RSA") made.key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, type, size_t{2048}));
    else if (std::string_view(type) == "EC") made.key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, type, "P-256"));
    else made.key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, type));
    REQUIRE(made.key);
    made.certificate.reset(X509_new());
    X509* certificate = made.certificate.get();
    const auto name_it = [](X509_NAME* name, const char* text) {
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(text), -1, -1, 0);
    };
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    ASN1_TIME_set_string(X509_getm_notBefore(certificate), "19700101000000Z");
    ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z");
    name_it(X509_get_subject_name(certificate), "holdfast");
    name_it(X509_get_issuer_name(certificate), issuer_name);
    X509_set_pubkey(certificate, made.key.get());
    const EVP_PKEY* signer = issuer ? issuer->key.get() : made.key.get();
    const EVP_MD* digest = EVP_PKEY_get_id(signer) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
    REQUIRE(X509_sign(certificate, const_cast<EVP_PKEY*>(signer), digest) > 0);
    return made;
}

Credentials credentials_of(const Identity& identity) {
    EVP_PKEY_up_ref(identity.key());
    X509_up_ref(identity.certificate());
    return {KeyPtr(identity.key()), CertificatePtr(identity.certificate())};
}

RawPeer::RawPeer(bool is_server, const RawOptions& options) : protocols_(options.protocols), early_data_(options.early_data) {
    context_.reset(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
    SSL_CTX* context = context_.get();
    SSL_CTX_set_security_level(context, 0);
    REQUIRE(SSL_CTX_set_min_proto_version(context, options.version_min));
    REQUIRE(SSL_CTX_set_max_proto_version(context, options.version_max));
    if (options.suites) REQUIRE(SSL_CTX_set_ciphersuites(context, options.suites));
    if (options.groups) REQUIRE(SSL_CTX_set1_groups_list(context, options.groups));
    if (options.signatures) REQUIRE(SSL_CTX_set1_sigalgs_list(context, options.signatures));
    if (options.credentials) {
        REQUIRE(SSL_CTX_use_certificate(context, options.credentials->certificate.get()));
        REQUIRE(SSL_CTX_use_PrivateKey(context, options.credentials->key.get()));
        if (options.also) REQUIRE(SSL_CTX_add1_chain_cert(context, options.also->certificate.get()));
    }
    // A raw end believes everybody; a raw server asks for a certificate.
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    if (!protocols_.empty()) protocols_.insert(protocols_.begin(), static_cast<char>(protocols_.size()));
    SSL_CTX_set_alpn_select_cb(
        context,
        [](SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char*, unsigned, void* self) -> int {
            const std::string& own = static_cast<RawPeer*>(self)->protocols_;
            if (own.empty()) return SSL_TLSEXT_ERR_NOACK;
            *chosen = reinterpret_cast<const unsigned char*>(own.data()) + 1;
            *size = static_cast<unsigned char>(own[0]);
            return SSL_TLSEXT_ERR_OK;
        },
        this);
    tls_.reset(SSL_new(context));
    if (!is_server && !protocols_.empty())
        SSL_set_alpn_protos(tls_.get(), reinterpret_cast<const unsigned char*>(protocols_.data()), static_cast<unsigned>(protocols_.size()));
    if (options.session) REQUIRE(SSL_set_session(tls_.get(), options.session));
    input_ = BIO_new(BIO_s_mem());
    output_ = BIO_new(BIO_s_mem());
    SSL_set_bio(tls_.get(), input_, output_);
    if (is_server) SSL_set_accept_state(tls_.get());
    else SSL_set_connect_state(tls_.get());
}

Bytes RawPeer::exchange(ByteSpan input) {
    ERR_clear_error();
    BIO_write(input_, input.data(), static_cast<int>(input.size()));
    if (!early_data_.empty()) {
        size_t written = 0;
        REQUIRE(SSL_write_early_data(tls_.get(), early_data_.data(), early_data_.size(), &written) == 1);
        early_data_.clear();
    } else if (!is_established()) {
        (void)SSL_do_handshake(tls_.get());
    }
    char plain[1024];
    for (int got = 0; is_established() && (got = SSL_read(tls_.get(), plain, sizeof plain)) > 0;) received_.append(plain, static_cast<size_t>(got));
    ERR_clear_error();
    char* data = nullptr;
    const long size = BIO_get_mem_data(output_, &data);
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    Bytes out(bytes, bytes + std::max(0L, size));
    (void)BIO_reset(output_);
    return out;
}

Status feed(TlsChannel& channel, ByteSpan bytes, std::string* plain, size_t piece) {
    while (!bytes.empty()) {
        const size_t size = std::min(piece, bytes.size());
        if (auto status = channel.receive(bytes.first(size)); !status) return status;
        bytes = bytes.subspan(size);
        for (;;) {
            char text[5000];
            auto got = channel.read(std::as_writable_bytes(std::span(text)));
            if (!got) return std::move(got).error();
            if (*got == 0) break;
            if (plain) plain->append(text, *got);
        }
    }
    return ok();
}

Ends connect(TlsChannel& client, TlsChannel& server, size_t piece, const Change& change) {
    Ends ends;
    size_t sent[2] = {0, 0};
    const auto carry = [&](bool from_client) {
        Bytes bytes = (from_client ? client : server).take_output();
        if (bytes.empty()) return false;
        const size_t before = sent[from_client];
        sent[from_client] += bytes.size();
        if (change) change(from_client, before, bytes);
        Status& end = from_client ? ends.server : ends.client;
        if (Status status = feed(from_client ? server : client, bytes, nullptr, piece); end) end = std::move(status);
        return true;
    };
    for (int idle = 0; idle < 2;) {
        idle = carry(true) ? 0 : idle + 1;
        idle = carry(false) ? 0 : idle + 1;
    }
    return ends;
}

}  // namespace holdfast::test
