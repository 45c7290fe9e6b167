// What the records of a batch have made of one file's bytes, before the image is changed: the ranges that differ from
// the image. The applier reads what a record overwrites through this, so that the undo of a record is what the
// record before it left behind, though the image changes only after the undo of the whole batch is durable.
//
// Thread rule: plain value. Bytes are borrowed from the batch's records.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/disk.h"
#include "base/result.h"

namespace holdfast::rewind {

class Pieces {
public:
    enum class Kind : uint8_t {
        image,  // as in the image
        bytes,  // of a record
        zeros,  // zeros in a block that is allocated
        hole,   // not allocated, or allocated without data: a hole to whoever looks for data
    };
    struct Piece {
        uint64_t offset, length;
        Kind kind;
        const std::byte* bytes;  // when kind is bytes
    };

    static constexpr uint64_t end_of_file = INT64_MAX;  // no file is longer

    void set_bytes(uint64_t offset, ByteSpan bytes) { set({offset, bytes.size(), Kind::bytes, bytes.data()}); }
    void set_zeros(uint64_t offset, uint64_t end) { set({offset, end - offset, Kind::zeros, nullptr}); }
    void set_hole(uint64_t offset, uint64_t end) { set({offset, end - offset, Kind::hole, nullptr}); }

    // Calls VISIT for [offset, end) piece by piece in ascending order, ranges of the image included.
    Status visit(uint64_t offset, uint64_t end, const std::function<Status(const Piece&)>& visit) const;
    // The piece that holds the byte at OFFSET; its range is not extended beyond what is one piece.
    Piece at(uint64_t offset) const;
    bool empty() const { return pieces_.empty(); }

private:
    void set(const Piece& piece);
    void cut(uint64_t offset);

    std::map<uint64_t, Piece> pieces_;  // by offset, disjoint
};

}  // namespace holdfast::rewind
