#include "rewind/sync/digest.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/buffer.h"
#include "base/check.h"

namespace holdfast::rewind {

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
    static_assert(sync_secret_bytes >= XXH3_SECRET_SIZE_MIN);
    const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
    HF_CHECK(state != nullptr);
    Buffer bytes(digest_chunk_bytes);
    for (uint64_t at = offset; at < offset + length; at += digest_chunk_bytes) {
        XXH3_128bits_reset_withSecret(state.get(), secret.data(), secret.size());
        for (const DataExtent& extent : clipped(extents, at, std::min<uint64_t>(digest_chunk_bytes, offset + length - at))) {
            const MutableByteSpan part(bytes.data(), extent.length);
            const size_t got = HF_TRY(read(extent.offset, part));
            std::fill(part.begin() + static_cast<ptrdiff_t>(got), part.end(), std::byte{0});
            XXH3_128bits_update(state.get(), &extent, sizeof extent);
            XXH3_128bits_update(state.get(), part.data(), part.size());
        }
        const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
        Digest digest;
        std::memcpy(digest.data(), &hash.low64, 8);
        std::memcpy(digest.data() + 8, &hash.high64, 8);
        into.insert(into.end(), digest.begin(), digest.end());
    }
    return ok();
}

}  // namespace holdfast::rewind
