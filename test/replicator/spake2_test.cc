#include "replicator/trust/spake2.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/text.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

// RFC 9382, appendix B, P256-SHA256-HKDF-HMAC.
struct Vector {
    const char *identity_a, *identity_b;
    const char *password, *secret_a, *share_a, *secret_b, *share_b;
    const char *encryption, *authentication, *confirm_a, *confirm_b, *confirmation_a, *confirmation_b;
};

constexpr Vector vectors[] = {
    {"server", "client", "2ee57912099d31560b3a44b1184b9b4866e904c49d12ac5042c97dca461b1a5f",
     "43dd0fd7215bdcb482879fca3220c6a968e66d70b1356cac18bb26c84a78d729",
     "04a56fa807caaa53a4d28dbb9853b9815c61a411118a6fe516a8798434751470f9010153ac33d0d5f2047ffdb1a3e42c9b4e6be662766e1eeb4116988ede5f912c",
     "dcb60106f276b02606d8ef0a328c02e4b629f84f89786af5befb0bc75b6e66be",
     "0406557e482bd03097ad0cbaa5df82115460d951e3451962f1eaf4367a420676d09857ccbc522686c83d1852abfa8ed6e4a1155cf8f1543ceca528afb591a1e0b7",
     "0e0672dc86f8e45565d338b0540abe69", "15bdf72e2b35b5c9e5663168e960a91b", "00c12546835755c86d8c0db7851ae86f",
     "a9fa3406c3b781b93d804485430ca27a", "58ad4aa88e0b60d5061eb6b5dd93e80d9c4f00d127c65b3b35b1b5281fee38f0",
     "d3e2e547f1ae04f2dbdbf0fc4b79f8ecff2dff314b5d32fe9fcef2fb26dc459b"},
    {"", "client", "0548d8729f730589e579b0475a582c1608138ddf7054b73b5381c7e883e2efae",
     "403abbe3b1b4b9ba17e3032849759d723939a27a27b9d921c500edde18ed654b",
     "04a897b769e681c62ac1c2357319a3d363f610839c4477720d24cbe32f5fd85f44fb92ba966578c1b712be6962498834078262caa5b441ecfa9d4a9485720e918a",
     "903023b6598908936ea7c929bd761af6039577a9c3f9581064187c3049d87065",
     "04e0f816fd1c35e22065d5556215c097e799390d16661c386e0ecc84593974a61b881a8c82327687d0501862970c64565560cb5671f696048050ca66ca5f8cc7fc",
     "642f05c473c2cd79909f9a841e2f30a7", "0bf89b18180af97353ba198789c2b963", "c6be376fc7cd1301fd0a13adf3e7bffd",
     "b7243f4ae60440a49b3f8cab3c1fba07", "47d29e6666af1b7dd450d571233085d7a9866e4d49d2645e2df975489521232b",
     "3313c5cefc361d27fb16847a91c2a73b766ffa90a4839122a9b70a2f6bd1d6df"},
    {"server", "", "626e0cdc7b14c9db3e52a0b1b3a768c98e37852d5db30febe0497b14eae8c254",
     "07adb3db6bc623d3399726bfdbfd3d15a58ea776ab8a308b00392621291f9633",
     "04f88fb71c99bfffaea370966b7eb99cd4be0ff1a7d335caac4211c4afd855e2e15a873b298503ad8ba1d9cbb9a392d2ba309b48bfd7879aefd0f2cea6009763b0",
     "b6a4fc8dbb629d4ba51d6f91ed1532cf87adec98f25dd153a75accafafedec16",
     "040c269d6be017dccb15182ac6bfcd9e2a14de019dd587eaf4bdfd353f031101e7cca177f8eb362a6e83e7d5e729c0732e1b528879c086f39ba0f31a9661bd34db",
     "005184ff460da2ce59062c87733c299c", "3521297d736598fc0a1127600efa1afb", "f3da53604f0aeecea5a33be7bddf6edf",
     "9e3f86848736f159bd92b6e107ec6799", "bc9f9bbe99f26d0b2260e6456e05a86196a3307ec6663a18bf6ac825736533b2",
     "c2370e1bf813b086dff0d834e74425a06e6390f48f5411900276dcccc5a297ec"},
    {"", "", "7bf46c454b4c1b25799527d896508afd5fc62ef4ec59db1efb49113063d70cca",
     "8cef65df64bb2d0f83540c53632de911b5b24b3eab6cc74a97609fd659e95473",
     "04a65b367a3f613cf9f0654b1b28a1e3a8a40387956c8ba6063e8658563890f46ca1ef6a676598889fc28de2950ab8120b79a5ef1ea4c9f44bc98f585634b46d66",
     "d7a66f64074a84652d8d623a92e20c9675c61cb5b4f6a0063e4648a2fdc02d53",
     "04589f13218822710d98d8b2123a079041052d9941b9cf88c6617ddb2fcc0494662eea8ba6b64692dc318250030c6af045cb738bc81ba35b043c3dcb46adf6f58d",
     "fc6374762ba5cf11f4b2caa08b2cd1b9", "907ae0e26e8d6234318d91583cd74c86", "5dbd2f477166b7fb6d61febbd77a5563",
     "7689b4654407a5faeffdc8f18359d8a3", "dfb4db8d48ae5a675963ea5e6c19d98d4ea028d8e898dad96ea19a80ade95dca",
     "d0f0609d1613138d354f7e95f19fb556bf52d751947241e8c7118df5ef0ae175"},
};

template <typename Bytes>
Bytes from_hex(std::string_view text) {
    const std::string raw_bytes = unhex(text).value();
    Bytes bytes{};
    REQUIRE(raw_bytes.size() == bytes.size());
    std::copy(raw_bytes.begin(), raw_bytes.end(), bytes.begin());
    return bytes;
}

template <typename Bytes>
std::string to_hex(const Bytes& bytes) {
    return hex(bytes.data(), bytes.size());
}

Spake2Scalar scalar(uint8_t value) {
    Spake2Scalar scalar;
    scalar.back() = value;
    return scalar;
}

}  // namespace

TEST_CASE("spake2: the examples of RFC 9382, appendix B") {
    for (const Vector& v : vectors) {
        CAPTURE(v.identity_a, v.identity_b);
        const auto password = from_hex<Spake2Scalar>(v.password);
        const auto secret_a = from_hex<Spake2Scalar>(v.secret_a), secret_b = from_hex<Spake2Scalar>(v.secret_b);
        const Spake2Share share_a = spake2_share(Spake2Role::a, password, secret_a).value();
        const Spake2Share share_b = spake2_share(Spake2Role::b, password, secret_b).value();
        CHECK(to_hex(share_a) == v.share_a);
        CHECK(to_hex(share_b) == v.share_b);
        const Spake2Context context{v.identity_a, v.identity_b, ""};
        const auto a = spake2_keys(Spake2Role::a, password, secret_a, share_a, share_b, context).value();
        const auto b = spake2_keys(Spake2Role::b, password, secret_b, share_b, share_a, context).value();
        for (const Spake2Keys& keys : {a, b}) {
            CHECK(to_hex(keys.encryption) == v.encryption);
            CHECK(to_hex(keys.authentication) == v.authentication);
            CHECK(to_hex(keys.confirm_a) == v.confirm_a);
            CHECK(to_hex(keys.confirm_b) == v.confirm_b);
            CHECK(to_hex(keys.confirmation_a) == v.confirmation_a);
            CHECK(to_hex(keys.confirmation_b) == v.confirmation_b);
        }
    }
}

TEST_CASE("spake2: each thing that both must agree on changes both confirmations") {
    const Spake2Share share_a = spake2_share(Spake2Role::a, scalar(7), scalar(11)).value();
    const Spake2Share share_b = spake2_share(Spake2Role::b, scalar(7), scalar(13)).value();
    const auto keys = [&](uint8_t password, const Spake2Context& context) {
        return spake2_keys(Spake2Role::a, scalar(password), scalar(11), share_a, share_b, context).value();
    };
    const Spake2Keys right = keys(7, {"a", "b", "more"});
    CHECK(keys(7, {"a", "b", "more"}).confirmation_a == right.confirmation_a);
    for (const auto& [password, context] : {std::pair<uint8_t, Spake2Context>{8, {"a", "b", "more"}},
                                            {7, {"A", "b", "more"}},
                                            {7, {"a", "B", "more"}},
                                            {7, {"ab", "", "more"}},
                                            {7, {"a", "b", "less"}},
                                            {7, {"a", "b", ""}}}) {
        CAPTURE(int(password), context.identity_a, context.identity_b, context.additional);
        CHECK(keys(password, context).confirmation_a != right.confirmation_a);
        CHECK(keys(password, context).confirmation_b != right.confirmation_b);
    }
}

TEST_CASE("spake2: what is no usable point is refused") {
    const Spake2Share good = spake2_share(Spake2Role::b, scalar(7), scalar(13)).value();
    const Spake2Share ours = spake2_share(Spake2Role::a, scalar(7), scalar(11)).value();
    const auto refusal = [&](const Spake2Share& theirs) {
        const auto keys = spake2_keys(Spake2Role::a, scalar(7), scalar(11), ours, theirs, {"a", "b", ""});
        REQUIRE_FALSE(keys);
        CHECK(keys.error().code == ErrorCode::foreign);
        return keys.error().message;
    };
    REQUIRE(spake2_keys(Spake2Role::a, scalar(7), scalar(11), ours, good, {"a", "b", ""}));

    refusal(Spake2Share{});  // infinity, and what a peer without a share may send
    for (const uint8_t form : {0, 2, 3, 5, 6, 7, 255}) {  // compressed, hybrid, unknown
        Spake2Share other = good;
        other[0] = form;
        refusal(other);
    }
    for (const size_t at : {size_t{1}, size_t{32}, size_t{33}, size_t{64}}) {  // off the curve
        Spake2Share other = good;
        other[at] ^= 1;
        refusal(other);
    }
    Spake2Share beyond{};  // coordinates that are not below the field's prime
    beyond.fill(0xff);
    beyond[0] = 4;
    refusal(beyond);

    // Exactly the blinding point: what is left is infinity, times anything infinity, and known to everybody.
    const Spake2Share nothing_secret = spake2_share(Spake2Role::b, scalar(7), scalar(0)).value();
    CHECK(refusal(nothing_secret).find("everybody knows") != std::string::npos);
}

TEST_CASE("spake2: secrets are below the order, not zero, and never the same") {
    const std::string order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    std::string last;
    for (int i = 0; i < 50; ++i) {
        const std::string now = to_hex(random_spake2_scalar().value());
        CHECK(now != last);
        CHECK(now < order);
        CHECK(now != std::string(64, '0'));
        last = now;
    }
    std::array<std::byte, 40> bytes{};
    const std::string one_more = unhex("0000000000000000" + order.substr(0, 63) + "2").value();
    std::ranges::copy(bytes_of(std::string_view(one_more)), bytes.begin());
    CHECK(to_hex(reduce_to_spake2_scalar(bytes).value()) == std::string(63, '0') + "1");
}
