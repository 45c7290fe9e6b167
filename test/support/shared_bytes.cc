#include "test/support/shared_bytes.h"

#include <algorithm>
#include <cstring>

namespace holdfast::test {
namespace {

// Calls DO(chunk, offset in it, bytes, bytes before) for each chunk's part of a range.
template <typename Do>
void each_part(uint64_t chunk_bytes, uint64_t offset, uint64_t size, Do&& what) {
    for (uint64_t done = 0; done < size;) {
        const uint64_t within = (offset + done) % chunk_bytes, part = std::min(size - done, chunk_bytes - within);
        what((offset + done) / chunk_bytes, within, part, done);
        done += part;
    }
}

}  // namespace

SharedBytes::SharedBytes(ByteSpan bytes) {
    resize(bytes.size());
    write(bytes, 0);
}

SharedBytes::Chunk& SharedBytes::own(uint64_t index) {
    auto& chunk = chunks_[index];
    if (!chunk)
        chunk = std::make_shared<Chunk>(Chunk{});
    else if (chunk.use_count() > 1)
        chunk = std::make_shared<Chunk>(*chunk);
    return *chunk;
}

void SharedBytes::resize(uint64_t size) {
    if (const uint64_t rest = size % chunk_bytes; size < size_ && rest != 0 && chunks_[size / chunk_bytes])
        memset(own(size / chunk_bytes).data() + rest, 0, chunk_bytes - rest);
    chunks_.resize((size + chunk_bytes - 1) / chunk_bytes);
    size_ = size;
}

void SharedBytes::read(MutableByteSpan data, uint64_t offset) const {
    each_part(chunk_bytes, offset, data.size(), [&](uint64_t index, uint64_t within, uint64_t size, uint64_t done) {
        if (const auto& chunk = chunks_[index])
            memcpy(data.data() + done, chunk->data() + within, size);
        else
            memset(data.data() + done, 0, size);
    });
}

void SharedBytes::write(ByteSpan data, uint64_t offset) {
    each_part(chunk_bytes, offset, data.size(), [&](uint64_t index, uint64_t within, uint64_t size, uint64_t done) {
        memcpy(own(index).data() + within, data.data() + done, size);
    });
}

void SharedBytes::copy_range(const SharedBytes& other, uint64_t offset, uint64_t size) {
    each_part(chunk_bytes, offset, size, [&](uint64_t index, uint64_t within, uint64_t part, uint64_t) {
        const auto& from = other.chunks_[index];
        if (from == chunks_[index]) return;
        if (part == chunk_bytes)
            chunks_[index] = from;
        else if (from)
            memcpy(own(index).data() + within, from->data() + within, part);
        else
            memset(own(index).data() + within, 0, part);
    });
}

std::vector<std::byte> SharedBytes::to_vector() const {
    std::vector<std::byte> bytes(size_);
    read(bytes, 0);
    return bytes;
}

}  // namespace holdfast::test
