#include "rewind/service/journal_tail.h"

#include <chrono>

namespace holdfast::rewind {

Result<std::unique_ptr<JournalTail>> JournalTail::open(const journal::Volume& volume) {
    std::unique_ptr<JournalTail> tail(new JournalTail(volume, HF_TRY(open_disk(volume.journal_directory))));
    tail->forget_read_ahead();
    HF_TRY(tail->look_for_table());
    return tail;
}

Status JournalTail::look_for_table() {
    if (owned_table_) return ok();
    auto table = journal::InflightTable::open_existing(volume_.journal_directory + "/inflight");
    if (!table && table.error().code != ErrorCode::not_found) return std::move(table).error();
    // One in which nothing was published yet is as good: a writer is about to.
    if (!table || (*table)->head().volume != volume_.id) return ok();
    owned_table_ = std::move(*table);
    forget_read_ahead();
    table_ = owned_table_.get();
    return ok();
}

void JournalTail::forget_read_ahead() {
    auto reader = std::make_unique<journal::Reader>(*disk_, volume_.id, volume_.segment_bytes, owned_table_.get());
    if (reader_) reader->seek(reader_->position());
    reader_ = std::move(reader);
}

journal::Lsn JournalTail::published() const {
    journal::InflightTable* table = table_;
    return table ? table->head().published.load(std::memory_order_acquire) : end_.load();
}

void JournalTail::wait(journal::Lsn known, uint32_t timeout_ms) {
    if (owned_table_) {
        owned_table_->wait_published(known, timeout_ms);
        return;
    }
    MutexLock lock(mutex_);
    (void)woken_.wait_for(mutex_, std::chrono::milliseconds(timeout_ms));
}

void JournalTail::wake() {
    if (journal::InflightTable* table = table_) table->wake_readers();
    MutexLock lock(mutex_);
    woken_.notify_all();
}

}  // namespace holdfast::rewind
