// Which undo answers for which bytes of a file: the data table of the index.
//
// Records overwrite ranges of any size at any alignment. A range is cut into pieces before it is put in:
//
//   level 0     blocks of 4 KiB, whole or in part
//   level k     whole aligned blocks of 4 KiB * 16^k, up to 2^60 bytes
//
// each piece as large as fits. So a range makes at most 15 pieces per level on its way up and 15 on its way down, and
// two pieces that are parts of a block.
//
// Why this answers quickly. A byte lies in exactly one block of each level. A piece of level 1 or higher covers its
// block wholly, so the first one at or after T is all that this level can say about the byte: one seek. Level 0 is
// read from T on in the order of LSNs until the block is covered: one step if it was overwritten whole, as databases
// and page caches do; otherwise as many steps as parts of this one block were overwritten since T until then. Levels
// and blocks that hold nothing cost nothing, because the seek lands behind them. The earliest of the levels' answers
// is the answer. All answers for a range are merged by LSN: the earlier wins its bytes, the later gets what is left.
//
// Thread rule: plain functions.
#pragma once

#include <rocksdb/iterator.h>

#include <string>
#include <vector>

#include "rewind/index/index.h"

namespace holdfast::rewind {

inline constexpr unsigned index_block_shift = 12;
inline constexpr unsigned index_level_shift = 4;  // a block of one level is 16 of the level below
inline constexpr unsigned index_level_max = 12;

inline unsigned block_shift_of(unsigned level) {
    return index_block_shift + index_level_shift * level;
}

struct KeyValue {
    std::string key;
    std::string value;
};

// The entries for a data or hole item of a record at LSN.
std::vector<KeyValue> data_entries(const UndoItem& item, Lsn lsn);

// Undo ranges that answer for [offset, offset + length) of OBJECT at AT: disjoint, ascending, clipped. ITERATOR covers the
// data table. Errors: as of rocksdb, or corrupt.
Result<std::vector<DataUndo>> find_data(rocksdb::Iterator& iterator, const ObjectId& object, uint64_t offset,
                                        uint64_t length, Lsn at);

}  // namespace holdfast::rewind
