// The reader: follows one stream in order, from any address, in this or another process.
//
// next() yields the record at position() and moves past it; filler, VOID records and segment ends are skipped.
// It stops at the published prefix that the in-flight table announces (or, without a table, at the first
// address where no whole record stands). Records borrow the reader's buffer until the following call of next().
//
// Errors of next(): torn or corrupt below the published prefix is damage and names the segment and address;
// not_found: the segment was deleted (the position fell out of retention); foreign: another volume's segment.
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

class Reader {
public:
    // TABLE may be null: then the end of the stream is where whole records end.
    Reader(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, InflightTable* table);
    ~Reader();

    void seek(Lsn lsn);  // REQUIRES: an address where a record or a segment starts
    Lsn position() const { return position_; }
    // The next record, or nothing when the published end is reached.
    Result<std::optional<Record>> next();

    // Addresses of the oldest and of the newest segment on disk. Errors: not_found when there is none.
    struct Extent { uint64_t first_segment, last_segment; };
    static Result<Extent> extent(Disk& disk);

private:
    Disk& disk_;
    VolumeId volume_;
    uint64_t segment_bytes_;
    InflightTable* table_;
    Lsn position_ = 0;
    std::unique_ptr<File> segment_;
    uint64_t segment_index_ = ~0ULL;
    std::vector<std::byte> buffer_;
    Lsn buffer_start_ = 0;
    size_t buffer_used_ = 0;
};

}  // namespace holdfast::journal
