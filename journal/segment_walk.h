// Walking the records of one segment file when nobody vouches for them: used by recovery and verification. The
// ordinary reader (journal/reader.h) knows where the stream ends; a walk finds that out.
//
// Thread rule: one thread. Borrows the file.
#pragma once

#include <optional>

#include "base/buffer.h"
#include "base/disk.h"
#include "base/result.h"
#include "journal/record.h"

namespace holdfast::journal {

// Bytes read ahead at a time. More than the longest record, so that one always fits.
inline constexpr size_t segment_walk_window_bytes = 4 << 20;

class SegmentWalk {
public:
    // Begins at the segment's first record. What lies at or beyond BELOW counts as not there and is not read. Errors: io.
    static Result<SegmentWalk> open(File& file, uint64_t index, uint64_t segment_bytes, Lsn below = lsn_max);

    Lsn position() const { return position_; }
    Lsn segment_end() const { return start_ + segment_bytes_; }
    void seek(Lsn position) { position_ = position; }  // REQUIRES: an address in this segment

    // The record at position(), which moves past it; nothing when no whole record stands there (why() tells more) or the
    // segment ends. The record borrows until the next call. Errors: io.
    Result<std::optional<Record>> next();
    uint64_t checksum() const { return checksum_; }  // of the record that next() gave, for the chain
    // After next() gave nothing: torn, or corrupt (whole, yet without sense), or unsupported (of a newer format).
    ErrorCode why() const { return why_; }

    // The first whole record at or after position() and below BELOW, in steps of the alignment. Does not move. Errors: io.
    Result<std::optional<Lsn>> find(Lsn below = lsn_max);
    // Whether nothing but zeros follows position() in the file. Errors: io.
    Result<bool> is_blank();

private:
    SegmentWalk(File& file, uint64_t index, uint64_t segment_bytes, uint64_t file_bytes)
        : file_(&file), start_(index * segment_bytes), segment_bytes_(segment_bytes), file_bytes_(file_bytes) {}
    // The bytes of the file from LSN on: at least a whole record's, or all that are left. Errors: io.
    Result<ByteSpan> bytes_at(Lsn lsn);

    File* file_;
    Lsn start_;
    uint64_t segment_bytes_;
    uint64_t file_bytes_;
    Lsn position_ = start_ + HF_SEGMENT_HEADER_BYTES;
    ErrorCode why_ = ErrorCode::torn;
    uint64_t checksum_ = 0;
    Buffer buffer_;
    MutableByteSpan window_;  // the filled part of the buffer
    Lsn window_start_ = 0;
};

// The seal of segment INDEX, also when its file was not cut behind it: the writer cuts with the sync that follows the seal,
// and a crash may come between. Then the records are read. Nothing when the records end before a seal. Errors: io.
Result<std::optional<SegmentEnd>> find_seal(File& file, uint64_t index, uint64_t segment_bytes);

}  // namespace holdfast::journal
