#include "rewind/sync/digest.h"

#include <sys/random.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/buffer.h"
#include "base/check.h"

namespace holdfast::rewind {

SyncSecret random_secret() {
    SyncSecret secret;
    HF_CHECK(::getrandom(secret.data(), secret.size(), 0) == static_cast<ssize_t>(secret.size()));
    return secret;
}

DigestState::DigestState(const SyncSecret& secret) : secret_(secret), state_(XXH3_createState(), [](XXH3_state_s* state) { XXH3_freeState(state); }) {
    static_assert(sync_secret_bytes >= XXH3_SECRET_SIZE_MIN);
    HF_CHECK(state_ != nullptr);
    begin_anew();
}

void DigestState::begin_anew() {
    XXH3_128bits_reset_withSecret(state_.get(), secret_.data(), secret_.size());
}

void DigestState::add(const void* bytes, size_t count) {
    XXH3_128bits_update(state_.get(), bytes, count);
}

void DigestState::add(std::string_view text) {
    const uint64_t length = text.size();
    add(&length, sizeof length);
    add(text.data(), text.size());
}

Digest DigestState::digest() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    Digest digest;
    std::memcpy(digest.data(), &hash.low64, 8);
    std::memcpy(digest.data() + 8, &hash.high64, 8);
    return digest;
}

std::vector<DataExtent> clipped(const std::vector<DataExtent>& extents, uint64_t offset, uint64_t length) {
    std::vector<DataExtent> found;
    const uint64_t end = offset + length;
    auto next = std::partition_point(extents.begin(), extents.end(), [&](const DataExtent& extent) { return extent.offset + extent.length <= offset; });
    for (; next != extents.end() && next->offset < end; ++next) {
        const uint64_t from = std::max(next->offset, offset), to = std::min(next->offset + next->length, end);
        found.push_back({from, to - from});
    }
    return found;
}

Status digest_range(const SyncSecret& secret, const std::vector<DataExtent>& extents, const ReadRange& read, uint64_t offset, uint64_t length,
                    std::vector<std::byte>& into) {
    DigestState state(secret);
    Buffer bytes(digest_chunk_bytes);
    for (uint64_t at = offset; at < offset + length; at += digest_chunk_bytes) {
        state.begin_anew();
        for (const DataExtent& extent : clipped(extents, at, std::min<uint64_t>(digest_chunk_bytes, offset + length - at))) {
            const MutableByteSpan part(bytes.data(), extent.length);
            const size_t got = HF_TRY(read(extent.offset, part));
            std::fill(part.begin() + static_cast<ptrdiff_t>(got), part.end(), std::byte{0});
            state.add(&extent, sizeof extent);
            state.add(part.data(), part.size());
        }
        const Digest digest = state.digest();
        into.insert(into.end(), digest.begin(), digest.end());
    }
    return ok();
}

}  // namespace holdfast::rewind
