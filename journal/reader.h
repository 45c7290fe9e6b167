// The reader: follows one stream in order, from any address, in this or another process.
//
// next() yields the record at position() and moves past it; filler, VOID records and segment ends are skipped. next_raw()
// does the same with the record's bytes and skips nothing: what it yields, and the headers of the segments
// (read_segment_header()), are all of a journal, which is how a source ships it. Both move the same position.
// They stop at the published prefix that the in-flight table announces, or at the durable one, or, without a table (REQUIRES: no writer), at
// the first address where no whole record stands. Records borrow the reader's buffer until the following call of
// either.
//
// Errors of both: torn or corrupt is damage below the published end, or, without a table, in a segment that is not
// the last; the sentence names segment and address. not_found: the segment was deleted (the position fell out of
// retention); foreign: another volume's segment; unsupported: a newer format. After an error position() is where it
// happened, and the next call tries the same again.
//
// Thread rule: one thread. It reads through its own descriptors and never writes.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/inflight.h"
#include "journal/record.h"
#include "journal/segment.h"

namespace holdfast::journal {

// A record as it lies in the stream. BYTES are what is written of it, written_length() of its header: they are decoded and
// whole. The next record stands at lsn + length, which may be further on than the bytes reach.
struct RawRecord {
    Lsn lsn = 0;
    uint32_t length = 0;
    hf_record_type type = HF_VOID;
    ByteSpan bytes;

    Lsn end() const { return lsn + length; }
};

class Reader {
public:
    enum class Until { published, durable };
    // TABLE may be null: then the end of the stream is where whole records end.
    Reader(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, InflightTable* table, Until until = Until::published);
    ~Reader();

    void seek(Lsn lsn);  // an address where a record or a segment starts; at another one next() finds damage
    // What next() looks at next. At the end of the stream it is the published address.
    Lsn position() const { return position_; }
    // The next record, or nothing when the published end is reached.
    Result<std::optional<Record>> next();
    // The next record, VOID and SEGMENT_END included, as bytes.
    Result<std::optional<RawRecord>> next_raw();

    // Makes everything that was read so far durable, for a consumer that must not run ahead of what a power cut would
    // leave of the journal. Costs nothing when the writer's own sync came first, and little when all came from the disk.
    // Errors: io; it stays an error.
    Status sync();

    // Addresses of the oldest and of the newest segment on disk. Errors: not_found when there is none.
    struct Extent { uint64_t first_segment, last_segment; };
    static Result<Extent> extent(Disk& disk);

private:
    Result<std::optional<Record>> next_of_any_type();
    Result<Record> decode_here();
    Result<bool> open_segment();
    Result<std::optional<Record>> end_of_stream(const Error& torn);
    Status fill(size_t wanted);
    ByteSpan buffered() const;
    Lsn limit() const;
    std::string place() const;

    Disk& disk_;
    VolumeId volume_;
    uint64_t segment_bytes_;
    InflightTable* table_;
    Until until_;
    Lsn position_ = 0;
    std::shared_ptr<File> segment_;
    uint64_t segment_index_ = ~0ULL;
    // Read and perhaps not durable. Kept open since before a possible failure: a descriptor that is opened after one
    // would be told that all is well.
    std::vector<std::pair<uint64_t, std::shared_ptr<File>>> unsynced_;
    bool has_unsynced_name_ = false;  // one of them was opened since the directory was synced
    std::optional<Error> sync_failure_;
    std::vector<std::byte> buffer_;
    Lsn buffer_start_ = 0;
    size_t buffer_used_ = 0;
};

}  // namespace holdfast::journal
