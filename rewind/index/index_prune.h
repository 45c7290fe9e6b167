// How the index forgets: a compaction leaves out what lies below the limit, so pruning costs no memory and no pass of
// its own. Questions respect the limit at once, whatever still stands on disk.
//
// What stays although it is old: locations, names that objects still have, and GAP events, because a gap that began
// before the limit may end behind it; there are few.
//
// Thread rule: the limit is shared by the applier, who moves it, RocksDB's background threads and questions.
#pragma once

#include <rocksdb/compaction_filter.h>

#include <atomic>
#include <memory>

#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

struct PruneLimit {
    std::atomic<Lsn> lsn{0};
    std::atomic<UndoAddress> address{0};  // the undo log began there when the limit was set
};

std::shared_ptr<rocksdb::CompactionFilterFactory> make_prune_filter(std::shared_ptr<const PruneLimit> limit);

}  // namespace holdfast::rewind
