// Attributes of a backing object: as the kernel wants them in answers, as the journal wants them in records.
// Thread rule: pure functions.
#pragma once

#include <sys/stat.h>

#include "base/file_time.h"
#include "fusefs/filter/node_id.h"
#include "fusefs/filter/protocol.h"
#include "journal/record.h"

namespace holdfast::fusefs {

// Nobody else changes the backing tree, so what the kernel knows stays true until it changes it itself.
inline constexpr uint64_t valid_seconds = 30ULL * 24 * 3600;

fuse_attr to_fuse(const struct stat& status);
fuse_attr_out attributes_answer(const struct stat& status);
fuse_entry_out entry_answer(const ObjectName& name, const struct stat& status);
// "There is no such name", which the kernel may remember as long as it is the only one to make names.
fuse_entry_out no_entry_answer();

// All of them, or those in VALID (HF_ATTR_*).
journal::Attributes to_record(const struct stat& status, uint32_t valid = HF_ATTR_ALL);

inline int64_t nanoseconds(const struct timespec& time) {
    return file_time_ns(time);
}

// The kernel's 32-bit form in requests and answers.
dev_t device_from_fuse(uint32_t device);
uint32_t device_to_fuse(dev_t device);

}  // namespace holdfast::fusefs
