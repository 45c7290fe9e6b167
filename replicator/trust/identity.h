// Who this host is to others: an Ed25519 key, and a self-signed certificate that carries it through TLS. Nothing in the
// certificate is believed but the key, whose fingerprint the other side has on its list.
//
// Both are in one file, DIRECTORY/identity.pem (0600), so that one rename makes or replaces the pair: a crash at any point
// leaves none, the old one or the new one, never halves of two. A rotation has its next pair in identity-next.pem until
// every peer knows it; then adopt_next renames it over the old one.
//
// The certificate is valid from 1970 to the end of 9999: a link must not break because a clock jumped, and a date would
// add nothing to a key that is trusted until it is taken off the list.
//
// Thread rule: an Identity is an immutable value, cheap to copy, shared by any threads; one process at a time makes or
// replaces the files of a directory. Ownership: the key is freed, and wiped, with the last copy.
#pragma once

#include <openssl/types.h>

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"

namespace holdfast::replicator {

inline constexpr std::string_view identity_file_name = "identity.pem";
inline constexpr std::string_view identity_next_file_name = "identity-next.pem";
inline constexpr size_t identity_file_bytes_max = 16 << 10;

// SHA-256 over a public key as the DER SubjectPublicKeyInfo.
struct Fingerprint {
    std::array<uint8_t, 32> bytes{};

    // Takes what to_string wrote, in either case.
    static std::optional<Fingerprint> parse(std::string_view text);
    auto operator<=>(const Fingerprint&) const = default;
};
std::string to_string(const Fingerprint& fingerprint);  // 64 digits, lower case

Fingerprint fingerprint_of(const X509& certificate);

// Signed by its own Ed25519 key: the only kind of certificate that hosts show each other. Says what is wrong with it.
Status check_certificate(X509& certificate);

class Identity {
public:
    // The host's own, made when there is none. Durable on return.
    // Errors: permission: the file or the directory is open to others or belongs to another user; corrupt: damaged, or the
    // key does not belong to the certificate; io. A damaged identity is never replaced silently: every peer would have to
    // be paired anew, and only a person can know that nothing else is wrong.
    static Result<Identity> load_or_make(const std::string& directory);
    static Result<Identity> load_or_make(Disk& directory);
    // In memory only.
    static Result<Identity> make();

    const Fingerprint& fingerprint() const;
    // Borrowed; OpenSSL counts its own references.
    EVP_PKEY* key() const;
    X509* certificate() const;

private:
    struct Parts;
    explicit Identity(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
    static Result<Identity> load(Disk& directory, std::string_view name);
    Status save(Disk& directory, std::string_view name) const;

    friend Result<Identity> make_next(Disk& directory);
    friend Result<std::optional<Identity>> load_next(Disk& directory);

    std::shared_ptr<const Parts> parts_;
};

// Rotation. DIRECTORY is opened with open_private_directory.
// Makes the next pair; durable on return. Error exists: there is one, which peers may already have been told of.
Result<Identity> make_next(Disk& directory);
Result<std::optional<Identity>> load_next(Disk& directory);
// The next pair becomes the host's own; durable on return. Errors: not_found; corrupt, and then the current pair stays.
Status adopt_next(Disk& directory);

}  // namespace holdfast::replicator
