#include "replicator/trust/tls_channel.h"

#include <openssl/err.h>

#include "base/check.h"
#include "replicator/trust/tls_settings.h"

namespace holdfast::replicator {
namespace {

std::string_view protocol_of(const SSL* tls) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(tls, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

// What an alert of the other end means for us. Their numbers are those of RFC 8446, 6.
ErrorCode code_of_alert(int alert) {
    switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
        case SSL_AD_ACCESS_DENIED:
        case SSL_AD_CERTIFICATE_REQUIRED: return ErrorCode::permission;
        case SSL_AD_HANDSHAKE_FAILURE:
        case SSL_AD_PROTOCOL_VERSION:
        case SSL_AD_INSUFFICIENT_SECURITY:
        case SSL_AD_NO_APPLICATION_PROTOCOL: return ErrorCode::unsupported;
        default: return ErrorCode::corrupt;
    }
}

ErrorCode code_of_error(unsigned long error) {
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) return ErrorCode::corrupt;
    const int reason = ERR_GET_REASON(error);
    if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) return code_of_alert(reason - SSL_AD_REASON_OFFSET);
    switch (reason) {
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_WRONG_SIGNATURE_TYPE:
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        case SSL_R_NO_APPLICATION_PROTOCOL: return ErrorCode::unsupported;
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return ErrorCode::permission;
        case SSL_R_HTTP_REQUEST:
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_UNKNOWN_CERTIFICATE_TYPE:
        case SSL_R_EXCESSIVE_MESSAGE_SIZE: return ErrorCode::foreign;
        default: return ErrorCode::corrupt;
    }
}

}  // namespace

Result<std::unique_ptr<TlsChannel>> TlsChannel::make(const Identity& identity, const SSL_METHOD* method, Purposes purposes, Admit admit) {
    std::unique_ptr<TlsChannel> channel(new TlsChannel(purposes, std::move(admit)));
    channel->context_ = HF_TRY(make_tls_context(identity, method));
    SSL_CTX_set_cert_verify_callback(channel->context_.get(), &TlsChannel::verify, channel.get());
    SSL_CTX_set_alpn_select_cb(channel->context_.get(), &TlsChannel::choose_purpose, channel.get());
    channel->tls_.reset(SSL_new(channel->context_.get()));
    BioPtr input(BIO_new(BIO_s_mem())), output(BIO_new(BIO_s_mem()));
    if (!channel->tls_ || !input || !output) return openssl_error(ErrorCode::io, "no memory for a TLS connection");
    channel->input_ = input.release();
    channel->output_ = output.release();
    SSL_set_bio(channel->tls_.get(), channel->input_, channel->output_);
    return channel;
}

Result<std::unique_ptr<TlsChannel>> TlsChannel::client(const Identity& identity, Purpose purpose, Admit admit) {
    auto channel = HF_TRY(make(identity, TLS_client_method(), Purposes{purpose == Purpose::link, purpose == Purpose::pairing, purpose == Purpose::control}, std::move(admit)));
    const std::string_view protocol = protocol_name(purpose);
    std::string offered(1, static_cast<char>(protocol.size()));
    offered += protocol;
    if (SSL_set_alpn_protos(channel->tls_.get(), raw(bytes_of(std::string_view(offered))), static_cast<unsigned>(offered.size())) != 0)
        return openssl_error(ErrorCode::io, "no memory for a TLS connection");
    SSL_set_connect_state(channel->tls_.get());
    HF_TRY(channel->step());  // so that its greeting is there to be taken
    return channel;
}

Result<std::unique_ptr<TlsChannel>> TlsChannel::server(const Identity& identity, Offer offer, Admit admit) {
    auto channel = HF_TRY(make(identity, TLS_server_method(), Purposes{true, offer.pairing, true}, std::move(admit)));
    SSL_set_accept_state(channel->tls_.get());
    return channel;
}

bool TlsChannel::Purposes::has(std::string_view protocol) const {
    return (link && protocol == protocol_name(Purpose::link)) || (pairing && protocol == protocol_name(Purpose::pairing)) || (control && protocol == protocol_name(Purpose::control));
}

int TlsChannel::choose_purpose(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                               unsigned offered_size, void* channel) {
    const Purposes purposes = static_cast<TlsChannel*>(channel)->purposes_;
    // OpenSSL has checked that the lengths in the list add up.
    for (unsigned at = 0; at < offered_size; at += 1u + offered[at]) {
        const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
        if (!purposes.has(name)) continue;
        *chosen = offered + at + 1;
        *chosen_size = offered[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int TlsChannel::verify(X509_STORE_CTX* store, void* channel_pointer) {
    auto* channel = static_cast<TlsChannel*>(channel_pointer);
    Status status;
    try {
        status = channel->judge(*store);
    } catch (...) {  // it must not pass through OpenSSL, and what could not be judged is not admitted
        X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
        return 0;
    }
    ERR_clear_error();
    if (status) return 1;
    channel->verdict_ = std::move(status).error();
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);  // becomes the alert bad_certificate
    return 0;
}

Status TlsChannel::judge(X509_STORE_CTX& store) {
    const STACK_OF(X509)* chain = X509_STORE_CTX_get0_untrusted(&store);
    X509* certificate = X509_STORE_CTX_get0_cert(&store);
    if (!certificate || sk_X509_num(chain) != 1)
        return Error{ErrorCode::foreign, "the other end shows a chain of certificates, but a host has one, signed by itself"};
    HF_TRY(check_certificate(*certificate));
    peer_ = fingerprint_of(*certificate);
    // A server has refused what it does not know; a client must see that the server chose, and chose what was asked for.
    const std::string_view protocol = protocol_of(tls_.get());
    if (!purposes_.has(protocol))
        return Error{ErrorCode::unsupported, "the other end did not agree on what the connection is for"};
    if (protocol == protocol_name(Purpose::pairing)) return ok();
    if (!admit_ || !admit_(peer_))
        return Error{ErrorCode::permission, "the key " + to_string(peer_) + " is not on the list of peers; `holdfast pair` puts one there"};
    return ok();
}

Status TlsChannel::step() {
    ERR_clear_error();
    const int result = SSL_do_handshake(tls_.get());
    if (result != 1) {
        if (SSL_get_error(tls_.get(), result) == SSL_ERROR_WANT_READ) return ok();
        return fail(result, "the TLS handshake failed");
    }
    // Nobody may get this far unseen, whatever the settings and the library do.
    HF_CHECK(SSL_version(tls_.get()) == TLS1_3_VERSION);
    HF_CHECK(peer_ != Fingerprint{});
    HF_CHECK(!SSL_session_reused(tls_.get()));
    is_established_ = true;
    return ok();
}

Status TlsChannel::receive(ByteSpan ciphertext) {
    HF_CHECK(ciphertext.size() <= tls_input_bytes_max);
    if (failure_) return *failure_;
    if (is_closed_) return ok();  // what comes after a goodbye is nobody's
    HF_CHECK(BIO_ctrl_pending(input_) <= SSL3_RT_MAX_ENCRYPTED_LENGTH + SSL3_RT_HEADER_LENGTH);
    if (ciphertext.empty()) return ok();
    ERR_clear_error();
    if (BIO_write(input_, ciphertext.data(), static_cast<int>(ciphertext.size())) != static_cast<int>(ciphertext.size()))
        return fail(openssl_error(ErrorCode::io, "no memory for what the other end sent"));
    if (is_established_) return ok();
    HF_TRY(step());
    // Asked afterwards: behind the end of a handshake the same delivery may hold as much data as there is room for.
    handshake_bytes_ += ciphertext.size();
    if (!is_established_ && handshake_bytes_ > tls_input_bytes_max)
        return fail(Error{ErrorCode::no_space, "the other end sent more than a handshake can need without ending it"});
    return ok();
}

size_t TlsChannel::output_bytes() const {
    return BIO_ctrl_pending(output_);
}

std::vector<std::byte> TlsChannel::take_output() {
    // Read, not BIO_reset: that would wipe all of a buffer that once held the largest write, at every call.
    std::vector<std::byte> taken(output_bytes());
    if (!taken.empty()) HF_CHECK(BIO_read(output_, taken.data(), static_cast<int>(taken.size())) == static_cast<int>(taken.size()));
    return taken;
}

Status TlsChannel::write(ByteSpan plain) {
    HF_CHECK(is_established_ && !is_closed_by_us_ && plain.size() <= tls_write_bytes_max);
    if (failure_) return *failure_;
    if (plain.empty()) return ok();
    ERR_clear_error();
    size_t written = 0;
    const int result = SSL_write_ex(tls_.get(), plain.data(), plain.size(), &written);
    if (result != 1) return fail(result, "a message could not be encrypted");
    HF_CHECK(written == plain.size());  // memory takes everything
    return ok();
}

Result<size_t> TlsChannel::read(MutableByteSpan plain) {
    HF_CHECK(!plain.empty());
    if (failure_) return *failure_;
    if (!is_established_ || is_closed_) return size_t{0};
    ERR_clear_error();
    size_t got = 0;
    const int result = SSL_read_ex(tls_.get(), plain.data(), plain.size(), &got);
    if (result == 1) return got;
    switch (SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ: return size_t{0};
        case SSL_ERROR_ZERO_RETURN: is_closed_ = true; return size_t{0};
        default: return fail(result, "the encrypted connection broke");
    }
}

void TlsChannel::close() {
    if (!is_established_ || failure_ || is_closed_by_us_) return;
    is_closed_by_us_ = true;
    ERR_clear_error();
    (void)SSL_shutdown(tls_.get());  // 0: said; the other end need not answer
    ERR_clear_error();
}

const Fingerprint& TlsChannel::peer() const {
    HF_CHECK(is_established_);
    return peer_;
}

Purpose TlsChannel::purpose() const {
    HF_CHECK(is_established_);
    const std::string_view protocol = protocol_of(tls_.get());
    for (const Purpose purpose : {Purpose::pairing, Purpose::control})
        if (protocol == protocol_name(purpose)) return purpose;
    return Purpose::link;
}

Result<Secret<32>> TlsChannel::exporter(std::string_view label) const {
    HF_CHECK(is_established_);
    ERR_clear_error();
    Secret<32> value;
    if (SSL_export_keying_material(tls_.get(), value.data(), value.size(), label.data(), label.size(), nullptr, 0, 0) != 1)
        return openssl_error(ErrorCode::io, "the connection's secret could not be derived");
    return value;
}

Error TlsChannel::fail(Error error) {
    failure_ = std::move(error);
    return *failure_;
}

Error TlsChannel::fail(int ssl_result, std::string_view what) {
    if (verdict_) {
        ERR_clear_error();
        return fail(*verdict_);
    }
    const unsigned long first = ERR_peek_error();
    if (first == 0) return fail(Error{ErrorCode::corrupt, std::string(what) + " (result " + std::to_string(ssl_result) + ")"});
    return fail(openssl_error(code_of_error(first), what));
}

}  // namespace holdfast::replicator
