// The writer: many threads append records to one stream.
//
// An append has two halves, because the address must be taken before the operation takes effect (whoever sees
// the effect and then writes gets a later address, so no prefix of the journal holds an effect without its
// cause) and the record says what really happened:
//
//     HF_TRY(auto ticket = writer.reserve(encoded_length(body)));      under the object's lock
//     ... perform the operation on the backing tree ...
//     writer.commit(ticket, record)   or   writer.abandon(ticket)      writes the record, or a VOID
//
// reserve() takes a short lock; commit() copies into the segment in parallel with others. Readers see only
// the published prefix: everything below the lowest ticket still open.
//
// Durability: commit() reaches the page cache and so survives the process. sync(lsn) returns when everything
// below LSN is on disk; one fdatasync serves all who wait (group commit). Without calls, a background thread
// syncs at least every sync_interval_ms. A failed fdatasync is final: the journal is fenced, every later
// reserve() and sync() fails with io, and nothing is acknowledged again.
//
// Limits: a record is at most HF_RECORD_BYTES_MAX. The journal's files together stay below journal_bytes_max;
// at that limit, or when the disk is full, reserve() fails with no_space and the caller's policy decides
// (wait_for_space() for `block`, begin_gap() for `stop-protection`). One segment is always kept in reserve, so
// that a GAP_BEGIN can be written.
//
// Thread rule: all methods from any thread. Ownership: the writer owns the lock file, its segments and a
// maintenance thread; disk, table and clock outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"
#include "journal/inflight.h"
#include "journal/record.h"

namespace holdfast::journal {

struct WriterOptions {
    uint64_t segment_bytes = HF_SEGMENT_BYTES_DEFAULT;
    uint64_t journal_bytes_max = 8ULL << 30;
    uint32_t sync_interval_ms = 500;
    uint64_t term = 1;
    uint32_t timeline = 1;
};

// Where recovery found the stream's end, and so where the next segment begins.
struct StreamEnd {
    uint64_t next_segment = 0;
    std::array<uint8_t, 16> chain{};
};

class Writer {
public:
    struct Ticket {
        Lsn lsn = 0;
        uint32_t length = 0;
    };

    // Starts a fresh segment at END. Errors: io, no_space.
    static Result<std::unique_ptr<Writer>> open(Disk& disk, InflightTable& table, const Clock& clock,
                                                const VolumeId& volume, const StreamEnd& end,
                                                const WriterOptions& options);
    ~Writer();  // REQUIRES: no ticket open. Syncs and marks the table clean.

    // An address for a record of LENGTH bytes. Errors: no_space, io (fenced).
    Result<Ticket> reserve(uint32_t length);
    // Writes RECORD (its lsn and time are set here) at TICKET. An error means the journal is fenced from here
    // on; the operation itself stays done and the caller answers its application with success (I6).
    Status commit(const Ticket& ticket, const Record& record);
    Status abandon(const Ticket& ticket);
    // reserve + commit for events that change nothing in the backing tree. Returns the record's address.
    Result<Lsn> append(const Record& record);

    Lsn published() const;
    Lsn durable() const;
    Status sync(Lsn below);
    bool is_fenced() const;

    // Blocks until reserve(LENGTH) would succeed or TIMEOUT_MS passes.
    bool wait_for_space(uint32_t length, uint32_t timeout_ms);
    // Consumers have durably taken everything below LSN: whole segments below it may be deleted or recycled.
    Status release_below(Lsn lsn);
    // Bytes of all segment files on disk, and the limit that applies.
    uint64_t used_bytes() const;

private:
    class Impl;
    explicit Writer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::journal
