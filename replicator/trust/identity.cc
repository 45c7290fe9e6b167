#include "replicator/trust/identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/check.h"
#include "base/small_file.h"
#include "base/text.h"
#include "replicator/trust/openssl.h"
#include "replicator/trust/private_file.h"

namespace holdfast::replicator {

struct Identity::Parts {
    KeyPtr key;
    CertificatePtr certificate;
    Fingerprint fingerprint;
};

namespace {

constexpr char not_before[] = "19700101000000Z";
constexpr char not_after[] = "99991231235959Z";

// Without it OpenSSL would ask the terminal for a password when a key file claims to be encrypted.
int no_password(char*, int, int, void*) {
    return -1;
}

struct WipedText {
    std::string text;
    ~WipedText() { OPENSSL_cleanse(text.data(), text.size()); }
};

Result<CertificatePtr> self_signed(EVP_PKEY* key) {
    CertificatePtr certificate(X509_new());
    if (!certificate) return openssl_error(ErrorCode::io, "no certificate could be made");
    X509_NAME* name = X509_get_subject_name(certificate.get());
    const auto* text = reinterpret_cast<const unsigned char*>("holdfast");
    const bool made = X509_set_version(certificate.get(), X509_VERSION_3) &&
                      ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1) &&
                      ASN1_TIME_set_string(X509_getm_notBefore(certificate.get()), not_before) &&
                      ASN1_TIME_set_string(X509_getm_notAfter(certificate.get()), not_after) &&
                      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) &&
                      X509_set_issuer_name(certificate.get(), name) && X509_set_pubkey(certificate.get(), key) &&
                      X509_sign(certificate.get(), key, nullptr);
    if (!made) return openssl_error(ErrorCode::io, "no certificate could be made");
    return certificate;
}

Error damaged(std::string_view name, std::string_view what) {
    return openssl_error(ErrorCode::corrupt, quoted(name) + " " + std::string(what) +
                                                 "; bring it back from a copy, or remove it and pair with every peer anew");
}

}  // namespace

std::optional<Fingerprint> Fingerprint::parse(std::string_view text) {
    Fingerprint fingerprint;
    if (text.size() != 2 * fingerprint.bytes.size()) return std::nullopt;
    const auto bytes = unhex(text);
    if (!bytes) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), fingerprint.bytes.begin());
    return fingerprint;
}

std::string to_string(const Fingerprint& fingerprint) {
    return hex(fingerprint.bytes.data(), fingerprint.bytes.size());
}

Fingerprint fingerprint_of(const X509& certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
    HF_CHECK(size > 0);  // it was decoded, so it can be encoded
    Fingerprint fingerprint;
    SHA256(der, static_cast<size_t>(size), fingerprint.bytes.data());
    OPENSSL_free(der);
    return fingerprint;
}

Status check_certificate(X509& certificate) {
    ERR_clear_error();
    EVP_PKEY* key = X509_get0_pubkey(&certificate);
    if (!key) return openssl_error(ErrorCode::foreign, "the certificate holds no key that can be read");
    if (EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) return Error{ErrorCode::foreign, "the certificate's key is not an Ed25519 key"};
    if (X509_NAME_cmp(X509_get_subject_name(&certificate), X509_get_issuer_name(&certificate)) != 0)
        return Error{ErrorCode::foreign, "the certificate was issued by somebody else, but a host signs its own"};
    if (X509_verify(&certificate, key) != 1) return openssl_error(ErrorCode::foreign, "the certificate is not signed by its own key");
    return ok();
}

Result<Identity> Identity::make() {
    ERR_clear_error();
    KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    if (!key) return openssl_error(ErrorCode::io, "no key could be made");
    auto certificate = HF_TRY(self_signed(key.get()));
    const Fingerprint fingerprint = fingerprint_of(*certificate);
    return Identity(std::make_shared<const Parts>(Parts{std::move(key), std::move(certificate), fingerprint}));
}

Result<Identity> Identity::load(Disk& directory, std::string_view name) {
    const WipedText file{HF_TRY(read_private_file(directory, name, identity_file_bytes_max))};
    ERR_clear_error();
    BioPtr bio(BIO_new_mem_buf(file.text.data(), static_cast<int>(file.text.size())));
    if (!bio) return openssl_error(ErrorCode::io, "no memory for " + quoted(name));
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
    if (!key) return damaged(name, "holds no private key that can be read");
    CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (!certificate) return damaged(name, "holds no certificate that can be read");
    if (auto status = check_certificate(*certificate); !status) return damaged(name, "is damaged: " + status.error().message);
    if (X509_check_private_key(certificate.get(), key.get()) != 1) return damaged(name, "has a key that is not the certificate's");
    // Whoever made the file may have died before its name was durable, and now others will be told of it.
    HF_TRY(directory.sync_directory());
    const Fingerprint fingerprint = fingerprint_of(*certificate);
    return Identity(std::make_shared<const Parts>(Parts{std::move(key), std::move(certificate), fingerprint}));
}

Status Identity::save(Disk& directory, std::string_view name) const {
    ERR_clear_error();
    const BioPtr bio(BIO_new(BIO_s_secmem()));  // wiped when it goes
    if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio.get(), key(), nullptr, nullptr, 0, nullptr, nullptr) ||
        !PEM_write_bio_X509(bio.get(), certificate()))
        return openssl_error(ErrorCode::io, "the identity could not be written as text");
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return replace_small_file(directory, name, {text, static_cast<size_t>(size)});
}

Result<Identity> Identity::load_or_make(const std::string& directory) {
    auto disk = HF_TRY(open_private_directory(directory));
    auto identity = load_or_make(*disk);
    if (!identity) return std::move(identity).error().within("the identity in " + quoted(directory));
    return identity;
}

Result<Identity> Identity::load_or_make(Disk& directory) {
    auto loaded = load(directory, identity_file_name);
    if (loaded || loaded.error().code != ErrorCode::not_found) return loaded;
    auto made = HF_TRY(make());
    HF_TRY(made.save(directory, identity_file_name));
    return made;
}

const Fingerprint& Identity::fingerprint() const {
    return parts_->fingerprint;
}
EVP_PKEY* Identity::key() const {
    return parts_->key.get();
}
X509* Identity::certificate() const {
    return parts_->certificate.get();
}

Result<Identity> make_next(Disk& directory) {
    if (HF_TRY(load_next(directory)))
        return Error{ErrorCode::exists, quoted(identity_next_file_name) + " is there already; adopt it, or remove it if no peer knows it"};
    auto next = HF_TRY(Identity::make());
    HF_TRY(next.save(directory, identity_next_file_name));
    return next;
}

Result<std::optional<Identity>> load_next(Disk& directory) {
    auto next = Identity::load(directory, identity_next_file_name);
    if (next) return std::optional(std::move(*next));
    if (next.error().code == ErrorCode::not_found) return std::optional<Identity>();
    return std::move(next).error();
}

Status adopt_next(Disk& directory) {
    // Read first: a damaged file must not take the place of the key that works.
    if (!HF_TRY(load_next(directory)))
        return Error{ErrorCode::not_found, "there is no next identity; make one and tell the peers of it first"};
    HF_TRY(directory.rename(identity_next_file_name, identity_file_name));
    return directory.sync_directory();
}

}  // namespace holdfast::replicator
