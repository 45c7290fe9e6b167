// A consumer's persisted position: the address below which it has durably taken everything. The journal keeps
// what the slowest consumer still needs. One small file per consumer, journal/cursors/NAME, replaced by
// rename; a damaged one counts as position zero, which only keeps more.
//
//     store           the volume's own store; on a replica, the store that follows the inbound journal
//     replica-NAME    a replica, kept by whoever ships to it
//     seed            of earlier versions, which kept a journal from its first byte for a replica that did not exist yet: nobody's, it holds
//                     nothing. No consumer may have this name
//
// Thread rule: one writer per name; any reader.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"

namespace holdfast::journal {

inline constexpr std::string_view store_consumer = "store";
inline constexpr std::string_view replica_consumer_prefix = "replica-";

// DISK is the cursors/ directory. Durable on return.
Status save_cursor(Disk& disk, const VolumeId& volume, std::string_view consumer, Lsn position);
Result<std::vector<std::pair<std::string, Lsn>>> load_cursors(Disk& disk, const VolumeId& volume);
// The lowest of all cursors; nothing when there is no consumer.
Result<std::optional<Lsn>> lowest_cursor(Disk& disk, const VolumeId& volume);
// Removes the cursors of replicas that lie below BELOW and in an older segment than that of the volume's own store, which holds its own for
// itself: the journal keeps nothing more for them. They find out when they are served next, and are repaired by comparison. Returns their
// consumers' names; durable on return.
Result<std::vector<std::string>> cut_off_replicas(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, Lsn below);

}  // namespace holdfast::journal
