// The bytes of a file in memory, in chunks that copies share until one of them writes: a copy of a journal of megabytes
// costs a few pointers, and what was allocated and never written costs nothing.
//
// Thread rule: one value is used by one thread at a time; values that share chunks may be used by different threads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/disk.h"

namespace holdfast::test {

class SharedBytes {
public:
    SharedBytes() = default;
    explicit SharedBytes(ByteSpan bytes);

    uint64_t size() const { return size_; }
    // What is added reads as zeroes.
    void resize(uint64_t size);
    // OFFSET and the size of DATA lie within the bytes.
    void read(MutableByteSpan data, uint64_t offset) const;
    void write(ByteSpan data, uint64_t offset);
    // The range as it is in OTHER; it lies within both.
    void copy_range(const SharedBytes& other, uint64_t offset, uint64_t size);
    std::vector<std::byte> to_vector() const;

private:
    static constexpr uint64_t chunk_bytes = 16 << 10;
    using Chunk = std::array<std::byte, chunk_bytes>;

    Chunk& own(uint64_t index);

    uint64_t size_ = 0;
    std::vector<std::shared_ptr<Chunk>> chunks_;  // none where there are only zeroes
};

}  // namespace holdfast::test
