// OpenSSL's objects with owners, its error queue as our errors, and bytes that are wiped when they go.
// Thread rule: the queue belongs to the calling thread; everything else is plain values.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"

namespace holdfast::replicator {

template <auto free_function>
struct OpensslFree {
    template <typename T>
    void operator()(T* object) const {
        free_function(object);
    }
};

using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, OpensslFree<BN_clear_free>>;
using BignumContextPtr = std::unique_ptr<BN_CTX, OpensslFree<BN_CTX_free>>;
using GroupPtr = std::unique_ptr<EC_GROUP, OpensslFree<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, OpensslFree<EC_POINT_clear_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using TlsContextPtr = std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>>;
using TlsPtr = std::unique_ptr<SSL, OpensslFree<SSL_free>>;

// WHAT with OpenSSL's own reason behind it; empties the queue.
Error openssl_error(ErrorCode code, std::string_view what);

// Bytes of a fixed size that are overwritten when they go.
template <size_t bytes>
struct Secret : std::array<uint8_t, bytes> {
    Secret() : std::array<uint8_t, bytes>{} {}
    Secret(const Secret&) = default;
    Secret& operator=(const Secret&) = default;
    ~Secret() { OPENSSL_cleanse(this->data(), bytes); }
};

inline const uint8_t* raw(ByteSpan bytes) {
    return reinterpret_cast<const uint8_t*>(bytes.data());
}

}  // namespace holdfast::replicator
