// A fuzz target: one function that is given arbitrary bytes, and inputs to begin with. It runs in two ways: under libFuzzer with
// clang (tools/fuzz), and everywhere over random mutations of its seeds (driver.cc), as a test.
// Thread rule: one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/disk.h"

namespace holdfast::fuzz {

using Input = std::vector<uint8_t>;

// Defined by each target: made by the real encoders, so that what is behind a checksum is reached from the start.
std::vector<Input> seeds();

inline Input input_of(ByteSpan bytes) {
    const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
    return Input(begin, begin + bytes.size());
}
inline Input input_of(std::string_view text) {
    return Input(text.begin(), text.end());
}
inline Input joined(const Input& first, const Input& second) {
    Input both(first.size() + second.size());
    std::copy(first.begin(), first.end(), both.begin());
    std::copy(second.begin(), second.end(), both.begin() + static_cast<ptrdiff_t>(first.size()));
    return both;
}

// In memory of exactly that size, so that a sanitizer sees a read beyond it.
inline std::vector<std::byte> copy_of(const uint8_t* data, size_t size) {
    std::vector<std::byte> bytes(size);
    if (size != 0) memcpy(bytes.data(), data, size);
    bytes.shrink_to_fit();
    return bytes;
}
inline std::string_view text_of(const uint8_t* data, size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
