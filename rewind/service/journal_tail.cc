#include "rewind/service/journal_tail.h"

#include <chrono>

namespace holdfast::rewind {

Result<std::unique_ptr<JournalTail>> JournalTail::open(const journal::Volume& volume) {
    std::unique_ptr<JournalTail> tail(new JournalTail(HF_TRY(open_disk(volume.journal_directory))));
    auto table = journal::InflightTable::open_existing(volume.journal_directory + "/inflight");
    // One in which nothing was published yet is as good: a writer is about to.
    if (table && (*table)->head().volume == volume.id)
        tail->table_ = std::move(*table);
    else if (!table && table.error().code != ErrorCode::not_found)
        return std::move(table).error();
    tail->reader_ =
        std::make_unique<journal::Reader>(*tail->disk_, volume.id, volume.segment_bytes, tail->table_.get());
    return tail;
}

journal::Lsn JournalTail::published() const {
    return table_ ? table_->head().published.load(std::memory_order_acquire) : end_.load();
}

void JournalTail::wait(journal::Lsn known, uint32_t timeout_ms) {
    if (table_) {
        table_->wait_published(known, timeout_ms);
        return;
    }
    MutexLock lock(mutex_);
    (void)woken_.wait_for(mutex_, std::chrono::milliseconds(timeout_ms));
}

void JournalTail::wake() {
    if (table_) table_->wake_readers();
    MutexLock lock(mutex_);
    woken_.notify_all();
}

}  // namespace holdfast::rewind
