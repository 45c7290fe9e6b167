// The volume's journal as the store service follows it: disk, in-flight table and reader together.
//
// While capture runs, or after it ended in this run of the host, the in-flight table says how far records may be
// read. Without a table that means anything (a host crash, a store that was moved) the stream ends where whole records
// end.
//
// Thread rule: published() and wake() from any thread, the rest from the thread that follows.
#pragma once

#include <atomic>
#include <memory>

#include "base/disk.h"
#include "base/mutex.h"
#include "base/result.h"
#include "journal/inflight.h"
#include "journal/reader.h"
#include "journal/volume.h"

namespace holdfast::rewind {

class JournalTail {
public:
    static Result<std::unique_ptr<JournalTail>> open(const journal::Volume& volume);

    journal::Reader& reader() { return *reader_; }
    // Without a table: as far as reached_end() was told.
    journal::Lsn published() const;
    // The reader found nothing more.
    void reached_end() { end_.store(reader_->position()); }
    // Returns when published() has grown beyond KNOWN, at wake(), or when time is up.
    void wait(journal::Lsn known, uint32_t timeout_ms);
    void wake();

private:
    explicit JournalTail(std::unique_ptr<Disk> disk) : disk_(std::move(disk)) {}

    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Reader> reader_;
    std::atomic<journal::Lsn> end_{0};
    Mutex mutex_;
    ConditionVariable woken_;
};

}  // namespace holdfast::rewind
