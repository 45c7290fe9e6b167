// Objects without a name that somebody had open when a session ended without saying so. After the session nobody can
// have them open, so they end; otherwise the graveyard would keep them for ever.
// Thread rule: one thread.
#pragma once

#include "base/result.h"
#include "rewind/reconcile/journal_target.h"

namespace holdfast::rewind {

// Regular and special files that lie without a name in the image of STORE and whose story has not ended: somebody has them
// open. REQUIRES: AT is what is applied.
Result<std::vector<ObjectId>> open_orphans(const Store& store, Lsn at);
// Appends ORPHAN_END for each; outside of any gap, because it is what happened. REQUIRES: the journal is applied.
Status end_orphans(const Store& store, JournalTarget& target);

}  // namespace holdfast::rewind
