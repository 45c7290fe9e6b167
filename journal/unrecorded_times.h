// Which objects a journal says to have changed, and not at what time they were modified last. Records of data and of names carry no such time; who
// writes them records it soon after (SETATTR), and one that was killed did not come to it.
//
// What was changed since SINCE_NS, by the records' clock, and below UNTIL is looked at, in whole segments and in eight of them at most: with a clock that
// jumped, or more changes in that time, some are missed.
// TABLE as for Reader. Errors: those of Reader.
// Thread rule: pure function; the journal may be written meanwhile.
#pragma once

#include <vector>

#include "base/disk.h"
#include "journal/inflight.h"

namespace holdfast::journal {

Result<std::vector<ObjectId>> objects_without_times(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, InflightTable* table, uint64_t since_ns, Lsn until);

}  // namespace holdfast::journal
