// The digest of a part of a file: xxh3 with 128 bits, by a secret that the asking side draws for every comparison, so that nobody can write
// files whose differences it does not see. It covers where the data of the chunk lies and the bytes of it, so that holes count.
// Thread rule: pure functions; a state is used by one thread, and its secret outlives it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "rewind/sync/sync_messages.h"
#include "rewind/view.h"

struct XXH3_state_s;

namespace holdfast::rewind {

using Digest = std::array<std::byte, 16>;

SyncSecret random_secret();

// A digest that is taken piece by piece.
class DigestState {
public:
    explicit DigestState(const SyncSecret& secret);
    void begin_anew();
    void add(const void* bytes, size_t count);
    // With its length, so that two texts are not one.
    void add(std::string_view text);
    Digest digest() const;

private:
    const SyncSecret& secret_;
    const std::unique_ptr<XXH3_state_s, void (*)(XXH3_state_s*)> state_;
};

using ReadRange = std::function<Result<size_t>(uint64_t offset, MutableByteSpan into)>;

// Those of [offset, offset + length) that are in EXTENTS (ascending, disjoint).
std::vector<DataExtent> clipped(const std::vector<DataExtent>& extents, uint64_t offset, uint64_t length);

// Of the chunks that begin in [offset, offset + length), appended to INTO. EXTENTS: all data of the file; what READ does not give is zeros.
Status digest_range(const SyncSecret& secret, const std::vector<DataExtent>& extents, const ReadRange& read, uint64_t offset, uint64_t length,
                    std::vector<std::byte>& into);

}  // namespace holdfast::rewind
