// Journal recovery at the start of a session or of a worker, and the evidence that it leaves (I10).
//
// What recovery decided must not be forgotten before it was carried out. repair() seals the journal, and a sealed
// journal looks like one that needs nothing; so a decision that asks for a comparison of the backing tree is written to
// STORE/comparison-pending before anything is repaired, and taken away only after that comparison has succeeded:
//   1. power is lost; recovery finds it and writes the mark;
//   2. it repairs and seals the journal; the host dies again, or the comparison fails;
//   3. the next recovery sees a sealed journal, and the mark: the comparison is still owed.
//
// Thread rule: one process at a time, the one that holds STORE/lock or was started by it.
#pragma once

#include <optional>
#include <string>

#include "base/disk.h"
#include "base/json_socket.h"
#include "base/result.h"
#include "journal/recovery.h"
#include "journal/volume.h"

namespace holdfast::fusefs {

inline constexpr std::string_view comparison_pending_name = "comparison-pending";
inline constexpr std::string_view last_recovery_name = "last-recovery.json";

// "settle_in_flight": how an action is named on command lines, in the mark and in evidence.
const char* to_string(journal::Action action);
Result<journal::Action> parse_action(std::string_view text);
// Whether the action asks for more than what every mount compares in any case.
bool needs_comparison(journal::Action action);
// Of two actions the one that distrusts more.
journal::Action stronger(journal::Action a, journal::Action b);

// The comparison that is owed from an earlier recovery. A mark that cannot be understood asks for everything.
// STORE is the store's directory.
Result<std::optional<journal::Action>> pending_comparison(Disk& store);
Status mark_comparison_pending(Disk& store, journal::Action action);
Status comparison_done(Disk& store);

struct RecoveredJournal {
    journal::Action action;  // never refuse
    journal::StreamEnd end;
    Json evidence;
};

// survey, decide, repair. TABLE is the open in-flight table of JOURNAL, CURSORS its consumers' directory; slots are
// settled against the tree of BACKING_FD. A doubt while settling makes the action compare_everything. Errors: a journal that must not be touched, with the sentence of the decision.
Result<RecoveredJournal> recover_journal(const journal::Volume& volume, Disk& store, Disk& journal, Disk& cursors,
                                         journal::InflightTable& table, int backing_fd);

// Replaces STORE/last-recovery.json with EVIDENCE as one line, stamped with the time, and tells the log.
Status save_evidence(Disk& store, Json evidence);

}  // namespace holdfast::fusefs
