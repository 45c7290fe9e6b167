// A batch of records that came from elsewhere, checked before any of it is written. Borrows the bytes.
// Thread rule: a pure function and a plain value. Private to journal/inbound*.cc.
#pragma once

#include <optional>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/record.h"

namespace holdfast::journal {

struct InboundBatch {
    // Records that lie in the file without a gap, as they do in the batch.
    struct Run {
        Lsn lsn;
        ByteSpan bytes;
    };
    std::vector<Run> runs;
    std::vector<uint64_t> checksums;  // of all records but the seal
    std::optional<SegmentEnd> seal;
    Lsn written_end = 0;  // past the last byte to write
    Lsn end = 0;          // past the last record in the stream
};

// RECORDS must be whole written records back to back, the first at AT, in the segment that ends at SEGMENT_END; the seal may
// only be the last, and every other record leaves room for it. At least one. The chain is the caller's to check.
// Allocates in proportion to the bytes that are there, whatever lengths they claim. Errors: corrupt, unsupported.
Result<InboundBatch> check_batch(ByteSpan records, Lsn at, Lsn segment_end);

}  // namespace holdfast::journal
