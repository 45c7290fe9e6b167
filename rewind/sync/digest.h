// The digest of a part of a file: xxh3 with 128 bits, by a secret that the asking side draws for every comparison, so that nobody can write
// files whose differences it does not see. It covers where the data of the chunk lies and the bytes of it, so that holes count.
// Thread rule: pure functions.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "rewind/sync/sync_messages.h"
#include "rewind/view.h"

namespace holdfast::rewind {

using Digest = std::array<std::byte, 16>;
using ReadRange = std::function<Result<size_t>(uint64_t offset, MutableByteSpan into)>;

// Those of [offset, offset + length) that are in EXTENTS (ascending, disjoint).
std::vector<DataExtent> clipped(const std::vector<DataExtent>& extents, uint64_t offset, uint64_t length);

// Of the chunks that begin in [offset, offset + length), appended to INTO. EXTENTS: all data of the file; what READ does not give is zeros.
Status digest_range(const SyncSecret& secret, const std::vector<DataExtent>& extents, const ReadRange& read, uint64_t offset, uint64_t length,
                    std::vector<std::byte>& into);

}  // namespace holdfast::rewind
