#include "replicator/trust/spake2.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace holdfast::replicator {
namespace {

// RFC 9382, 6: points of which nobody knows the logarithm, compressed.
constexpr std::array<uint8_t, 33> point_m{0x02, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2, 0x99,
                                          0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1, 0x2f};
constexpr std::array<uint8_t, 33> point_n{0x03, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77, 0x07,
                                          0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b, 0x49};
constexpr std::string_view confirmation_label = "ConfirmationKeys";

Error failed() {
    return openssl_error(ErrorCode::io, "the proof of the pairing code could not be computed");
}

// The group with room to compute. OpenSSL's calls below fail only for want of memory, so all are made and asked once.
struct Curve {
    GroupPtr group{EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)};
    BignumContextPtr room{BN_CTX_secure_new()};
    bool is_good = group && room;

    PointPtr new_point() {
        PointPtr point(is_good ? EC_POINT_new(group.get()) : nullptr);
        is_good = is_good && point;
        return point;
    }
    PointPtr decode(const uint8_t* bytes, size_t size) {  // on-curve or nothing
        PointPtr point = new_point();
        if (is_good && EC_POINT_oct2point(group.get(), point.get(), bytes, size, room.get()) != 1) point.reset();
        return point;
    }
    BignumPtr secret_number(const Spake2Scalar& scalar) {
        BignumPtr number(BN_secure_new());
        is_good = is_good && number && BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), number.get());
        if (is_good) BN_set_flags(number.get(), BN_FLG_CONSTTIME);
        return number;
    }
    // POINT times SCALAR, or the generator's when there is no point. One point at a time: that is the constant-time way.
    PointPtr multiply(const EC_POINT* point, const BIGNUM* scalar) {
        PointPtr product = new_point();
        is_good = is_good &&
                  EC_POINT_mul(group.get(), product.get(), point ? nullptr : scalar, point, point ? scalar : nullptr, room.get()) == 1;
        return product;
    }
    PointPtr add(const EC_POINT* a, const EC_POINT* b) {
        PointPtr sum = new_point();
        is_good = is_good && EC_POINT_add(group.get(), sum.get(), a, b, room.get()) == 1;
        return sum;
    }
    void negate(EC_POINT* point) { is_good = is_good && EC_POINT_invert(group.get(), point, room.get()) == 1; }
    Spake2Share encode(const EC_POINT* point) {
        Spake2Share bytes{};
        is_good = is_good && EC_POINT_point2oct(group.get(), point, POINT_CONVERSION_UNCOMPRESSED, bytes.data(), bytes.size(), room.get()) ==
                                 bytes.size();
        return bytes;
    }
};

// The point that blinds the share of ROLE: M for A, N for B, times the password.
PointPtr blinding(Curve& curve, Spake2Role role, const Spake2Scalar& password) {
    const auto& constant = role == Spake2Role::a ? point_m : point_n;
    const PointPtr point = curve.decode(constant.data(), constant.size());
    HF_CHECK(!curve.is_good || point);
    const BignumPtr scalar = curve.secret_number(password);
    return curve.multiply(point.get(), scalar.get());
}

// OpenSSL fills SCALAR from NUMBER, which is below the order.
bool store(const BIGNUM* number, Spake2Scalar& scalar) {
    return BN_bn2binpad(number, scalar.data(), static_cast<int>(scalar.size())) == static_cast<int>(scalar.size());
}

// Grows in memory that is wiped.
class Transcript {
public:
    void add(const void* bytes, size_t size) {
        for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<uint8_t>(uint64_t{size} >> shift));
        const auto* data = static_cast<const uint8_t*>(bytes);
        bytes_.insert(bytes_.end(), data, data + size);
    }
    explicit Transcript(size_t bytes_max) { bytes_.reserve(bytes_max); }  // growing would leave copies
    ~Transcript() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
    const std::vector<uint8_t>& bytes() const { return bytes_; }

private:
    std::vector<uint8_t> bytes_;
};

bool mac(const uint8_t* key, size_t key_size, const uint8_t* data, size_t size, uint8_t* out) {
    return HMAC(EVP_sha256(), key, static_cast<int>(key_size), data, size, out, nullptr) != nullptr;
}

// HKDF (RFC 5869) without salt and with one block of output, which is all that is needed.
bool derive(const Secret<16>& key, std::string_view info, Secret<32>& out) {
    const std::array<uint8_t, 32> no_salt{};
    Secret<32> extracted;
    std::string expand(info);
    expand += '\1';
    return mac(no_salt.data(), no_salt.size(), key.data(), key.size(), extracted.data()) &&
           mac(extracted.data(), extracted.size(), reinterpret_cast<const uint8_t*>(expand.data()), expand.size(), out.data());
}

Result<Spake2Keys> key_schedule(const Transcript& transcript, std::string_view additional) {
    Spake2Keys keys;
    Secret<32> digest, confirm;
    const auto& bytes = transcript.bytes();
    SHA256(bytes.data(), bytes.size(), digest.data());
    std::copy_n(digest.begin(), 16, keys.encryption.begin());
    std::copy_n(digest.begin() + 16, 16, keys.authentication.begin());
    if (!derive(keys.authentication, std::string(confirmation_label).append(additional), confirm)) return failed();
    std::copy_n(confirm.begin(), 16, keys.confirm_a.begin());
    std::copy_n(confirm.begin() + 16, 16, keys.confirm_b.begin());
    if (!mac(keys.confirm_a.data(), keys.confirm_a.size(), bytes.data(), bytes.size(), keys.confirmation_a.data()) ||
        !mac(keys.confirm_b.data(), keys.confirm_b.size(), bytes.data(), bytes.size(), keys.confirmation_b.data()))
        return failed();
    return keys;
}

}  // namespace

Result<Spake2Scalar> random_spake2_scalar() {
    ERR_clear_error();
    const Curve curve;
    const BignumPtr number(BN_secure_new());
    if (!curve.is_good || !number) return failed();
    do {
        if (BN_priv_rand_range(number.get(), EC_GROUP_get0_order(curve.group.get())) != 1) return failed();
    } while (BN_is_zero(number.get()));
    Spake2Scalar scalar;
    if (!store(number.get(), scalar)) return failed();
    return scalar;
}

Result<Spake2Scalar> reduce_to_spake2_scalar(ByteSpan bytes) {
    HF_CHECK(bytes.size() >= 40);
    ERR_clear_error();
    const Curve curve;
    const BignumPtr number(BN_secure_new()), reduced(BN_secure_new());
    if (!curve.is_good || !number || !reduced || !BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), number.get())) return failed();
    BN_set_flags(number.get(), BN_FLG_CONSTTIME);
    Spake2Scalar scalar;
    if (BN_mod(reduced.get(), number.get(), EC_GROUP_get0_order(curve.group.get()), curve.room.get()) != 1 || !store(reduced.get(), scalar))
        return failed();
    return scalar;
}

Result<Spake2Share> spake2_share(Spake2Role role, const Spake2Scalar& password, const Spake2Scalar& secret) {
    ERR_clear_error();
    Curve curve;
    const BignumPtr scalar = curve.secret_number(secret);
    const PointPtr own = curve.multiply(nullptr, scalar.get());
    const PointPtr blind = blinding(curve, role, password);
    const PointPtr sum = curve.add(own.get(), blind.get());
    const Spake2Share share = curve.encode(sum.get());
    if (!curve.is_good) return failed();
    return share;
}

Result<Spake2Keys> spake2_keys(Spake2Role role, const Spake2Scalar& password, const Spake2Scalar& secret, const Spake2Share& ours,
                               const Spake2Share& theirs, const Spake2Context& context) {
    ERR_clear_error();
    Curve curve;
    // Only the plain form: the same point in another form would be another transcript. Infinity has a form of one byte.
    const PointPtr point = theirs[0] == POINT_CONVERSION_UNCOMPRESSED ? curve.decode(theirs.data(), theirs.size()) : nullptr;
    if (curve.is_good && !point) return openssl_error(ErrorCode::foreign, "the other end's share is not a point of the curve");
    const PointPtr blind = blinding(curve, role == Spake2Role::a ? Spake2Role::b : Spake2Role::a, password);
    if (curve.is_good) curve.negate(blind.get());
    const PointPtr bare = curve.add(point.get(), blind.get());
    const BignumPtr scalar = curve.secret_number(secret);
    const PointPtr shared = curve.multiply(bare.get(), scalar.get());
    if (!curve.is_good) return failed();
    if (EC_POINT_is_at_infinity(curve.group.get(), shared.get()))
        return Error{ErrorCode::foreign, "the other end's share leads to a key that everybody knows"};
    Spake2Share common = curve.encode(shared.get());
    if (!curve.is_good) return failed();

    const Spake2Share& share_a = role == Spake2Role::a ? ours : theirs;
    const Spake2Share& share_b = role == Spake2Role::a ? theirs : ours;
    Transcript transcript(6 * sizeof(uint64_t) + context.identity_a.size() + context.identity_b.size() + 3 * ours.size() + password.size());
    transcript.add(context.identity_a.data(), context.identity_a.size());
    transcript.add(context.identity_b.data(), context.identity_b.size());
    transcript.add(share_a.data(), share_a.size());
    transcript.add(share_b.data(), share_b.size());
    transcript.add(common.data(), common.size());
    transcript.add(password.data(), password.size());
    OPENSSL_cleanse(common.data(), common.size());
    return key_schedule(transcript, context.additional);
}

}  // namespace holdfast::replicator
