// Records of the journal that are applied together, with memory of their own: a reader's record lives only until the
// next one is read, while a batch is looked at several times (undo, names, data, attributes).
// Thread rule: plain value, movable; records stay where they are when it moves.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "journal/record.h"

namespace holdfast::rewind {

using journal::Record;

// Memory that goes all at once.
class Arena {
public:
    ByteSpan keep(ByteSpan bytes);
    std::string_view keep(std::string_view text);
    MutableByteSpan make(size_t size);
    void clear();

private:
    static constexpr size_t chunk_bytes = 1 << 20;
    struct Chunk {
        std::unique_ptr<std::byte[]> bytes;
        size_t size, used;
    };
    std::vector<Chunk> chunks_;
};

class Batch {
public:
    void add(const Record& record);  // a deep copy
    const std::vector<Record>& records() const { return records_; }
    bool empty() const { return records_.empty(); }
    uint64_t bytes() const { return bytes_; }
    Arena& arena() { return arena_; }  // for what must live as long as the records

private:
    std::vector<Record> records_;
    Arena arena_;
    uint64_t bytes_ = 0;
};

// A copy of RECORD that borrows from ARENA only.
Record copy_record(const Record& record, Arena& arena);

}  // namespace holdfast::rewind
