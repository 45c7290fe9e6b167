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
// (wait_for_space() for `block`, a GAP_BEGIN for `stop-protection`). One segment is always kept in reserve for what
// must be said when nothing else may be: append() of GAP_BEGIN, SESSION_OPEN and SESSION_CLOSE may use it, and
// until it has been replaced reserve() fails. open() makes its first segment and the reserve even above the limit,
// because a full journal could not be emptied otherwise. reserve() also fails with no_space when open_tickets_max
// records follow an operation that does not end, since readers could see none of them.
//
// Why pwritev and not a mapping: a store into a mapping of a file whose disk is full or broken ends the process, an
// error of pwritev is a value; and the page faults of a mapping cost what the system call costs (docs/journal_format.md
// has the figures).
//
// Thread rule: all methods from any thread. Ownership: the writer owns its segments and two threads (one prepares
// segments, one syncs); disk, table and clock outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"
#include "journal/inflight.h"
#include "journal/record.h"

namespace holdfast::journal {

inline constexpr size_t open_tickets_max = 1 << 20;
// The one being written, the one before it (its seal is where the chain goes on after a crash), the next, the reserve.
inline constexpr uint64_t journal_segments_min = 4;

struct WriterOptions {
    uint64_t segment_bytes = HF_SEGMENT_BYTES_DEFAULT;
    uint64_t journal_bytes_max = 8ULL << 30;  // at least journal_segments_min segments
    uint32_t sync_interval_ms = 500;
    uint64_t term = 1;
    uint32_t timeline = 1;
};

// Where recovery found the stream's end, and so where the next segment begins.
struct StreamEnd {
    uint64_t next_segment = 0;
    std::array<uint8_t, 16> chain{};
    Lsn durable = lsn_max;  // below it all is on disk; from there to the end the writer syncs. lsn_max: all of it is
    struct Sealed {
        uint64_t segment;
        Lsn seal;
    };
    std::vector<Sealed> uncut;  // sealed, and their files longer: the writer's first sync cuts them behind the seal
};

class Writer {
public:
    struct Ticket {
        Lsn lsn = 0;
        uint32_t length = 0;
        uint64_t serial = 0;     // the writer's own
        uint64_t time_ns = 0;    // the record's: taken with the address, so both grow together
        File* segment = nullptr;
    };

    // Starts a fresh segment at END. Errors: io, no_space; invalid_argument for impossible options; corrupt when the
    // directory holds segments at END or beyond it.
    static Result<std::unique_ptr<Writer>> open(Disk& disk, InflightTable& table, const Clock& clock,
                                                const VolumeId& volume, const StreamEnd& end,
                                                const WriterOptions& options);
    ~Writer();  // REQUIRES: no ticket open. Seals the segment, syncs and marks the table clean.

    // An address for a record of LENGTH bytes. Waits for the disk only when the segment that comes next is not made
    // yet. Errors: no_space, io (fenced).
    Result<Ticket> reserve(uint32_t length);
    // Writes RECORD (its lsn and time are set here) at TICKET, which is over with that. An error means the journal is fenced from here
    // on; the operation itself stays done and the caller answers its application with success (I6).
    Status commit(const Ticket& ticket, const Record& record);
    Status abandon(const Ticket& ticket);
    // reserve + commit for events that change nothing in the backing tree. Returns the record's address.
    Result<Lsn> append(const Record& record);

    Lsn published() const;
    Lsn durable() const;
    Lsn reserved() const;
    // Returns when everything below BELOW, or everything reserved when that is less, is written and on disk.
    // REQUIRES: the caller holds no open ticket below BELOW; it would wait for itself.
    Status sync(Lsn below);
    bool is_fenced() const;

    // Blocks until reserve(LENGTH) would succeed or TIMEOUT_MS passes. False at once when the journal is fenced.
    bool wait_for_space(uint32_t length, uint32_t timeout_ms);
    // Consumers have durably taken everything below LSN: whole segments below it are deleted, oldest first, but for
    // the one before the current one and for what is not durable yet (a journal that lost its newest segments in a
    // power cut must still have older ones, or it would start again from zero).
    Status release_below(Lsn lsn);
    // Bytes of all files that count against journal_bytes_max.
    uint64_t used_bytes() const;

private:
    class Impl;
    explicit Writer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::journal
