#include "replicator/trust/pairing_code.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "replicator/trust/openssl.h"

namespace holdfast::replicator {
namespace {

// Without I, L, O and U: the first three look like digits, and without the last no code is a rude word.
constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static_assert(alphabet.size() == 32);
constexpr size_t group_letters = 3;

char normal_form(char letter) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    switch (letter) {
        case 'O': return '0';
        case 'I':
        case 'L': return '1';
        default: return letter;
    }
}

}  // namespace

Result<PairingCode> PairingCode::make() {
    ERR_clear_error();
    Secret<pairing_code_letters> random;
    if (RAND_priv_bytes(random.data(), static_cast<int>(random.size())) != 1)
        return openssl_error(ErrorCode::io, "no random numbers for a pairing code");
    PairingCode code;
    for (const uint8_t byte : random) code.letters_ += alphabet[byte % alphabet.size()];  // 256 is a multiple of 32
    return code;
}

std::optional<PairingCode> PairingCode::parse(std::string_view typed) {
    PairingCode code;
    for (const char letter : typed) {
        if (letter == ' ' || letter == '-' || letter == '\t' || letter == '\n' || letter == '\r') continue;
        const char normal = normal_form(letter);
        if (alphabet.find(normal) == alphabet.npos || code.letters_.size() == pairing_code_letters) return std::nullopt;
        code.letters_ += normal;
    }
    if (code.letters_.size() != pairing_code_letters) return std::nullopt;
    return code;
}

PairingCode::~PairingCode() {
    OPENSSL_cleanse(letters_.data(), letters_.size());
}

std::string PairingCode::show() const {
    std::string shown;
    for (size_t i = 0; i < letters_.size(); ++i) {
        if (i > 0 && i % group_letters == 0) shown += '-';
        shown += letters_[i];
    }
    return shown;
}

const char* PairingOffer::expiry(uint64_t now_ns) const {
    if (is_used_) return "the pairing code has been used; a new one can be made";
    // A clock that went back makes the difference huge.
    if (now_ns - made_ns_ >= pairing_code_lifetime_ns) return "the pairing code has expired; a new one can be made";
    return nullptr;
}

const char* PairingOffer::objection(uint64_t now_ns) const {
    if (const char* expired = expiry(now_ns)) return expired;
    return guesses_left_ > 0 ? nullptr : "the pairing code was tried too often; a new one can be made";
}

Status PairingOffer::begin(uint64_t now_ns) {
    if (const char* sentence = objection(now_ns)) return Error{ErrorCode::unavailable, sentence};
    --guesses_left_;
    return ok();
}

Status PairingOffer::complete(uint64_t now_ns) {
    if (const char* sentence = expiry(now_ns)) return Error{ErrorCode::unavailable, sentence};
    is_used_ = true;
    return ok();
}

}  // namespace holdfast::replicator
