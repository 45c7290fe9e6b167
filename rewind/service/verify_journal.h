// Checks the journal while it is written: the checksum of every record, the seal of every segment that has one, and the
// hash chain from segment to segment.
// Thread rule: one thread; reads through its own descriptors.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "journal/ids.h"
#include "journal/volume.h"

namespace holdfast::rewind {

struct JournalVerification {
    uint64_t segments = 0;
    uint64_t records = 0;
    uint64_t bytes = 0;
    std::vector<std::string> problems;  // sentences, one for each damaged segment
};

// Up to END, which is published. STEP is called for every record and ends the check with its error.
Result<JournalVerification> verify_journal(const journal::Volume& volume, journal::Lsn end,
                                           const std::function<Status(uint64_t bytes)>& step);

}  // namespace holdfast::rewind
