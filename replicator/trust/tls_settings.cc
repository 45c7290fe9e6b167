#include "replicator/trust/tls_settings.h"

#include <openssl/err.h>

namespace holdfast::replicator {

Result<TlsContextPtr> make_tls_context(const Identity& identity, const SSL_METHOD* method) {
    ERR_clear_error();
    TlsContextPtr context(SSL_CTX_new(method));
    if (!context) return openssl_error(ErrorCode::io, "no TLS context could be made");
    SSL_CTX* tls = context.get();
    // All of it is set, even where it is the default: the host's openssl.cnf has been applied before this and may differ.
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_clear_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TLSv1_3);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(tls, tls_certificate_bytes_max);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_mode(tls, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS);
    // Exactly one certificate is sent: nothing is added to it from a store.
    SSL_CTX_set_mode(tls, SSL_MODE_NO_AUTO_CHAIN);
    const bool is_set = SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) && SSL_CTX_set_max_proto_version(tls, TLS1_3_VERSION) &&
                        SSL_CTX_set_ciphersuites(tls, tls_suites) && SSL_CTX_set1_groups_list(tls, tls_groups) &&
                        SSL_CTX_set1_sigalgs_list(tls, tls_signatures) && SSL_CTX_set1_client_sigalgs_list(tls, tls_signatures) &&
                        SSL_CTX_set_num_tickets(tls, 0) && SSL_CTX_set_max_early_data(tls, 0) &&
                        SSL_CTX_set_recv_max_early_data(tls, 0) && SSL_CTX_use_certificate(tls, identity.certificate()) &&
                        SSL_CTX_use_PrivateKey(tls, identity.key()) && SSL_CTX_check_private_key(tls);
    if (!is_set) return openssl_error(ErrorCode::io, "the TLS context could not be set up");
    return context;
}

}  // namespace holdfast::replicator
