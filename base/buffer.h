// Bytes to read into. Unlike a vector's they are not set to zero first: filling a megabyte costs more than most of what
// it is read for, and a process that starts while applications wait touches no page that it does not need.
// Thread rule: a plain value, movable.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace holdfast {

class Buffer {
public:
    Buffer() = default;
    explicit Buffer(size_t bytes) : bytes_(new std::byte[bytes]), size_(bytes) {}
    Buffer(Buffer&& other) noexcept : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        bytes_ = std::move(other.bytes_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    std::byte* data() { return bytes_.get(); }
    const std::byte* data() const { return bytes_.get(); }
    size_t size() const { return size_; }
    std::byte* begin() { return data(); }
    std::byte* end() { return data() + size_; }
    const std::byte* begin() const { return data(); }
    const std::byte* end() const { return data() + size_; }

private:
    std::unique_ptr<std::byte[]> bytes_;
    size_t size_ = 0;
};

}  // namespace holdfast
