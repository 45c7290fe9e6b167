#include "journal/ids.h"

#include <sys/random.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::journal {
namespace {

// Where the hyphens of a UUID's text stand.
constexpr size_t hyphens[] = {8, 13, 18, 23};
constexpr size_t uuid_text_bytes = 36;

}  // namespace

std::string to_string(const ObjectId& id) {
    return std::to_string(id.origin) + ":" + std::to_string(id.inode) + ":" + std::to_string(id.generation);
}

VolumeId random_volume_id() {
    VolumeId id;
    // At most 256 bytes are always given whole once the kernel's pool is ready, for which this call waits.
    HF_CHECK(::getrandom(id.bytes.data(), id.bytes.size(), 0) == static_cast<ssize_t>(id.bytes.size()));
    id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);  // version 4: random
    id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);  // variant of RFC 4122
    return id;
}

std::string to_string(const VolumeId& id) {
    std::string text = hex(id.bytes.data(), id.bytes.size());
    for (size_t position : hyphens) text.insert(position, 1, '-');
    return text;
}

Result<VolumeId> parse_volume_id(std::string_view text) {
    Error wrong{ErrorCode::invalid_argument,
                quoted(text) + " is not a volume id; one looks like 01234567-89ab-4def-8123-456789abcdef"};
    if (text.size() != uuid_text_bytes) return wrong;
    std::string digits(text);
    for (size_t i = std::size(hyphens); i-- > 0;) {
        if (digits[hyphens[i]] != '-') return wrong;
        digits.erase(hyphens[i], 1);
    }
    auto bytes = unhex(digits);
    if (!bytes) return wrong;
    VolumeId id;
    std::copy(bytes->begin(), bytes->end(), id.bytes.begin());
    return id;
}

}  // namespace holdfast::journal
