// The volume's journal as the store service follows it: disk, in-flight table and reader together.
//
// While capture runs, or after it ended in this run of the host, the in-flight table says how far records may be
// read. Without a table that means anything (a host crash, a store that was moved) the stream ends where whole records
// end.
//
// On a replica the table belongs to the receiver of an inbound journal, which may start later than the service. So it is
// looked for before every round until it is there. Between its making and that look a record may be read that nobody has
// announced: it is whole, because records are checked, and durable before it is applied (Reader::sync()).
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

    // Valid until the next look_for_table().
    journal::Reader& reader() { return *reader_; }
    // Goes over to the table as soon as there is one; the reader stands where it stood. Costs one open() while there is none.
    // Errors: io.
    Status look_for_table();
    // Without a table: as far as reached_end() was told.
    journal::Lsn published() const;
    // The reader found nothing more.
    void reached_end() { end_.store(reader_->position()); }
    // What was read ahead may have been cut from the journal since: reads it again. Not of what was handed out.
    void forget_read_ahead();
    // Returns when published() has grown beyond KNOWN, at wake(), or when time is up.
    void wait(journal::Lsn known, uint32_t timeout_ms);
    void wake();

private:
    JournalTail(const journal::Volume& volume, std::unique_ptr<Disk> disk) : volume_(volume), disk_(std::move(disk)) {}

    const journal::Volume volume_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::InflightTable> owned_table_;
    std::atomic<journal::InflightTable*> table_{nullptr};  // set once
    std::unique_ptr<journal::Reader> reader_;
    std::atomic<journal::Lsn> end_{0};
    Mutex mutex_;
    ConditionVariable woken_;
};

}  // namespace holdfast::rewind
