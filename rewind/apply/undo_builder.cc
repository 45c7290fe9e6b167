#include "rewind/apply/undo_builder.h"

#include "base/check.h"

namespace holdfast::rewind {

void UndoBuilder::begin(const Record& record) {
    part_ = UndoRecord{};
    part_.lsn = record.lsn;
    part_.end_lsn = record.end();
    part_.time_ns = record.time_ns;
    part_.type = record.type;
    part_.flags = record.flags;
    part_.object = record.object;
    part_.exchange = record.type == HF_RENAME && record.as<journal::Rename>().exchange;
    part_bytes_ = 0;
}

bool UndoBuilder::is_full(size_t more_bytes) const {
    return part_.items.size() >= HF_UNDO_PART_ITEMS_MAX || part_bytes_ + more_bytes > HF_UNDO_PART_DATA_BYTES_MAX;
}

Result<MutableByteSpan> UndoBuilder::room(size_t size) {
    HF_CHECK(size <= largest_item);
    // So that the add() of these bytes does not: write_part() gives the room of its part up.
    if (is_full(size)) HF_TRY(write_part(true));
    return scratch_.make(size);
}

Status UndoBuilder::add(const UndoItem& item) {
    HF_CHECK(item.data.size() <= largest_item);
    if (is_full(item.data.size())) HF_TRY(write_part(true));
    part_.items.push_back(item);
    part_bytes_ += item.data.size();
    return ok();
}

Status UndoBuilder::finish() {
    return write_part(false);
}

Status UndoBuilder::write_part(bool continued) {
    part_.continued = continued;
    HF_TRY(log_.append(part_));
    for (UndoItem& item : part_.items)
        if (item.kind == UndoKind::data) item.data = {};
    UndoRecord next = part_;
    next.items.clear();
    written_.push_back(std::move(part_));
    part_ = std::move(next);
    part_bytes_ = 0;
    scratch_.clear();
    return ok();
}

}  // namespace holdfast::rewind
