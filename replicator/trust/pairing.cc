#include "replicator/trust/pairing.h"

#include <openssl/err.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::replicator {
namespace {

constexpr uint64_t scrypt_cost = 1 << 14, scrypt_block = 8, scrypt_lanes = 1;
constexpr uint64_t scrypt_memory_bytes_max = 32 << 20;

std::string_view text_of(const Fingerprint& fingerprint) {
    return {reinterpret_cast<const char*>(fingerprint.bytes.data()), fingerprint.bytes.size()};
}

// The code as a number. Made slow and large to compute, for the one who gets at a transcript and later breaks the curve; salted
// with both keys, so that such work serves for one pair of hosts only.
Result<Spake2Scalar> password_of(const PairingCode& code, const PairingBinding& binding) {
    ERR_clear_error();
    std::string salt = "holdfast-pair/1";
    salt.append(text_of(binding.client)).append(text_of(binding.server));
    Secret<40> stretched;
    const std::string_view letters = code.letters();
    if (EVP_PBE_scrypt(letters.data(), letters.size(), raw(bytes_of(std::string_view(salt))), salt.size(), scrypt_cost, scrypt_block,
                       scrypt_lanes, scrypt_memory_bytes_max, stretched.data(), stretched.size()) != 1)
        return openssl_error(ErrorCode::io, "the pairing code could not be stretched");
    return reduce_to_spake2_scalar(std::as_bytes(std::span(stretched)));
}

void append(std::vector<std::byte>& message, std::span<const uint8_t> part) {
    const auto bytes = std::as_bytes(part);
    message.insert(message.end(), bytes.begin(), bytes.end());
}

Spake2Role spake2_role(PairingSide::Role role) {
    return role == PairingSide::Role::client ? Spake2Role::a : Spake2Role::b;
}

}  // namespace

Result<PairingSide> PairingSide::make(Role role, const PairingCode& code, const PairingBinding& binding) {
    const Spake2Scalar secret = HF_TRY(random_spake2_scalar());
    return make(role, code, binding, secret);
}

Result<PairingSide> PairingSide::make(Role role, const PairingCode& code, const PairingBinding& binding, const Spake2Scalar& secret) {
    PairingSide side(role, binding);
    side.password_ = HF_TRY(password_of(code, binding));
    side.secret_ = secret;
    side.share_ = HF_TRY(spake2_share(spake2_role(role), side.password_, secret));
    if (role == Role::server) side.state_ = State::awaits_share;
    return side;
}

std::vector<std::byte> PairingSide::start() {
    std::vector<std::byte> message;
    if (role_ == Role::server) return message;
    HF_CHECK(state_ == State::fresh);
    state_ = State::awaits_share_and_confirmation;
    append(message, share_);
    return message;
}

size_t PairingSide::awaited_bytes() const {
    switch (state_) {
        case State::awaits_share: return sizeof(Spake2Share);
        case State::awaits_share_and_confirmation: return sizeof(Spake2Share) + sizeof(Spake2Confirmation);
        case State::awaits_confirmation: return sizeof(Spake2Confirmation);
        default: return 0;
    }
}

Result<std::vector<std::byte>> PairingSide::on_message(ByteSpan message) {
    auto answer = advance(message);
    if (!answer) state_ = State::failed;
    return answer;
}

Result<std::vector<std::byte>> PairingSide::advance(ByteSpan message) {
    if (awaited_bytes() == 0) return Error{ErrorCode::foreign, "the other end sent a proof where none was awaited"};
    if (message.size() != awaited_bytes()) return Error{ErrorCode::foreign, "the other end's proof has the wrong size"};
    std::vector<std::byte> answer;
    switch (state_) {
        case State::awaits_share:
            HF_TRY(answer_share(message));
            append(answer, share_);
            append(answer, keys_->confirmation_b);
            state_ = State::awaits_confirmation;
            break;
        case State::awaits_share_and_confirmation:
            HF_TRY(answer_share(message.first(sizeof(Spake2Share))));
            HF_TRY(check_confirmation(message.subspan(sizeof(Spake2Share))));
            append(answer, keys_->confirmation_a);
            state_ = State::done;
            break;
        default:
            HF_TRY(check_confirmation(message));
            state_ = State::done;
    }
    return answer;
}

Status PairingSide::answer_share(ByteSpan bytes) {
    Spake2Share theirs;
    std::copy_n(raw(bytes), theirs.size(), theirs.begin());
    const std::string_view exporter(reinterpret_cast<const char*>(binding_.exporter.data()), binding_.exporter.size());
    keys_ = HF_TRY(spake2_keys(spake2_role(role_), password_, secret_, share_, theirs,
                               {text_of(binding_.client), text_of(binding_.server), exporter}));
    return ok();
}

Status PairingSide::check_confirmation(ByteSpan theirs) {
    const Spake2Confirmation& expected = role_ == Role::client ? keys_->confirmation_b : keys_->confirmation_a;
    if (CRYPTO_memcmp(theirs.data(), expected.data(), expected.size()) == 0) return ok();
    return Error{ErrorCode::permission, "the other end does not know the pairing code, or somebody sits between the two hosts"};
}

std::vector<std::byte> encode_introduction(const Introduction& introduction) {
    HF_CHECK(check_peer_name(introduction.name).has_value());
    HF_CHECK(check_peer_address(introduction.address).has_value());
    std::vector<std::byte> bytes(introduction_bytes);
    bytes[0] = std::byte(introduction.name.size());
    bytes[1] = std::byte(introduction.address.size());
    std::ranges::copy(bytes_of(std::string_view(introduction.name)), bytes.begin() + 2);
    std::ranges::copy(bytes_of(std::string_view(introduction.address)), bytes.begin() + 2 + static_cast<ptrdiff_t>(peer_name_bytes_max));
    return bytes;
}

Result<Introduction> decode_introduction(ByteSpan bytes) {
    if (bytes.size() != introduction_bytes) return Error{ErrorCode::foreign, "the other end's introduction has the wrong size"};
    const auto name_size = std::to_integer<size_t>(bytes[0]), address_size = std::to_integer<size_t>(bytes[1]);
    const ByteSpan name_room = bytes.subspan(2, peer_name_bytes_max), address_room = bytes.subspan(2 + peer_name_bytes_max);
    const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
    if (name_size > name_room.size() || address_size > address_room.size() ||
        !std::ranges::all_of(name_room.subspan(name_size), is_zero) || !std::ranges::all_of(address_room.subspan(address_size), is_zero))
        return Error{ErrorCode::foreign, "the other end's introduction is malformed"};
    const auto text = [](ByteSpan part) { return std::string(reinterpret_cast<const char*>(part.data()), part.size()); };
    Introduction introduction{text(name_room.first(name_size)), text(address_room.first(address_size))};
    if (auto status = check_peer_name(introduction.name); !status) return Error{ErrorCode::foreign, std::move(status).error().message};
    if (auto status = check_peer_address(introduction.address); !status)
        return Error{ErrorCode::foreign, std::move(status).error().message};
    return introduction;
}

}  // namespace holdfast::replicator
