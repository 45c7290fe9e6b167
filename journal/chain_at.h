// The hash chain at an address: one value that stands for all of the history below it.
//
// Two hosts that keep the same records at the same addresses compute the same value, and two whose histories parted
// compute different ones from there on. So a source and a replica find out where they agree without comparing bytes.
// The value does not depend on how much of the older history a host still keeps, only on what was written:
//
//   at the end of a segment, which is the beginning of the next     chain_after of its seal
//   at the first record of a segment                                the same: nothing lies between but a header
//   at the end of a record                                          xxh3-128 as in docs/journal_format.md, over the chain
//                                                                   at the segment's beginning and the checksums of
//                                                                   the segment's records below the address
//   at 0 and at the first record of segment 0                       zero
//
// The chain at a segment's beginning stands in the seal of the segment before, and again in the segment's own seal, and of a replica
// that was repaired in the file `beginning` (journal/beginning.h). When none is kept it cannot be known, and that is not_found: a journal that
// began in the middle and whose first segment is not sealed yet.
//
// Segment headers are not part of the chain: equal chains say nothing of terms, timelines or times of creation.
//
// Thread rule: a pure function of the disk. A writer may append meanwhile, as long as AT is at or below what is published.
#pragma once

#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"
#include "journal/segment.h"

namespace holdfast::journal {

// Reads at most the segment that holds AT, up to AT, and two seals; the predecessor's records only when it was sealed so
// recently that its file is not cut yet.
// Errors: not_found when AT is no boundary of records, lies beyond the whole records, or in a segment that is not kept, and
// when the chain cannot be known; corrupt for damage below AT, or for seals that contradict each other; foreign,
// unsupported; io. REQUIRES: is_segment_size(segment_bytes).
Result<ChainHash::Value> chain_at(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, Lsn at);

}  // namespace holdfast::journal
