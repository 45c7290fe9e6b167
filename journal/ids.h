// The names of things in a journal: volumes, objects, positions. Plain values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "journal/format.h"

namespace holdfast::journal {

// A byte address in a volume's stream. Seek is arithmetic, lag is subtraction.
using Lsn = uint64_t;
inline constexpr Lsn lsn_max = ~0ULL;

struct ObjectId {
    uint64_t inode = 0;
    uint32_t generation = 0;
    uint32_t origin = 0;

    auto operator<=>(const ObjectId&) const = default;
    explicit operator bool() const { return inode != 0; }
};

// The directory at the top of a volume has one id on every host and in every life of the volume, so that a
// volume can be moved to another file system: inode 1 of origin 0, which no file system of a host can produce.
inline constexpr ObjectId root_object{1, 0, 0};

std::string to_string(const ObjectId& id);  // "origin:inode:generation"

struct VolumeId {
    std::array<uint8_t, 16> bytes{};
    auto operator<=>(const VolumeId&) const = default;
};

VolumeId random_volume_id();
std::string to_string(const VolumeId& id);  // UUID in its usual form
Result<VolumeId> parse_volume_id(std::string_view text);

inline ObjectId from_disk(const hf_object_id& raw) {
    return {raw.inode, raw.generation, raw.origin};
}
inline hf_object_id to_disk(const ObjectId& id) {
    return {id.inode, id.generation, id.origin};
}

}  // namespace holdfast::journal

template <>
struct std::hash<holdfast::journal::ObjectId> {
    size_t operator()(const holdfast::journal::ObjectId& id) const {
        uint64_t mixed = id.inode * 0x9e3779b97f4a7c15ULL;
        mixed ^= (uint64_t{id.generation} << 32 | id.origin) + (mixed >> 29);
        return static_cast<size_t>(mixed * 0xbf58476d1ce4e5b9ULL);
    }
};
