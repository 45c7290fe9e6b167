// What makes a record sensible, beyond its checksum. One set of rules serves both directions: a record that is about
// to be written must keep them (a broken one is a mistake of this program), and so must a record that was read (a
// broken one is corrupt).
//
// Names are single path components and stay such on every path they travel: whoever applies records may pass them
// to openat() as they are.
// Thread rule: pure functions. Private to journal/record*.cc and journal/recovery*.cc.
#pragma once

#include "journal/record.h"

namespace holdfast::journal {

inline constexpr uint64_t file_offset_max = INT64_MAX;  // as off_t

// The rule that RECORD breaks, as a sentence, or null. Checks everything but lsn, time and length.
const char* broken_rule(const Record& record);

// True for every number that this program can decode.
bool is_known_type(uint16_t type);
// Of one record in the stream. SEGMENT_END alone may span a whole segment.
uint32_t record_bytes_max(hf_record_type type);

}  // namespace holdfast::journal
