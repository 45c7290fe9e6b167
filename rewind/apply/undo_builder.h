// Writes the undo of one journal record after the other to the log, a record in as many parts as its size needs, so that
// the truncation of a huge file takes no more memory than that of a small one.
// Thread rule: the applier's thread.
#pragma once

#include "rewind/apply/batch.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

class UndoBuilder {
public:
    explicit UndoBuilder(UndoLog& log) : log_(log) {}

    void begin(const Record& record);
    // Names and values of ITEM live until the batch ends, its bytes until the next add() or room().
    Status add(const UndoItem& item);
    // Room for the bytes of one item, at most largest_item; they stay until the part they are in is written.
    Result<MutableByteSpan> room(size_t size);
    Status finish();

    static constexpr size_t largest_item = 1 << 20;

    // What was written since the last take(), for the index: bytes of data items are only in the log.
    std::vector<UndoRecord>& written() { return written_; }

private:
    bool is_full(size_t more_bytes) const;
    Status write_part(bool continued);

    UndoLog& log_;
    UndoRecord part_;
    size_t part_bytes_ = 0;
    Arena scratch_;
    std::vector<UndoRecord> written_;
};

}  // namespace holdfast::rewind
