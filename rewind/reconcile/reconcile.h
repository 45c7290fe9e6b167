// Reconciliation: makes history agree with the backing tree before anything is served.
//
// A new store is filled: the first copy, which is no history. Otherwise the journal is applied to its end, the tree is
// compared with the image, and every difference becomes a REPAIR record between GAP_BEGIN and GAP_END (I4), so that the
// image follows and the moments before and after the gap are exact. No difference after a clean close: no gap.
//
// What is compared. Names, types, owners, modes, sizes, mtimes, devices and xattrs of every object, always; the bytes
// of a file when its size or mtime differs, when its ctime (which no program can set) says that it changed after the
// journal's last word, less a margin, or when the journal's last minute touched it and the host died. `everything`
// compares all bytes. When the clock runs behind the journal's last word, ctimes prove nothing and everything is
// compared.
//
// Crashes. Nothing is decided twice: every step is a record, and a run that was interrupted (an open gap at the
// journal's end) is simply run again. Objects that are out of place wait in a staging directory of the image that exists
// as long as the comparison does.
//
// Deletion brake. A listing that fails stops the work. So does a tree that lost more than half of at least
// deletion_brake_objects objects: nothing is deleted, the sentence says what to do.
//
// Thread rule: one thread. REQUIRES: the journal is repaired and sealed (journal/recovery.h), nobody else has the
// store or the journal's writer open.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/json_socket.h"
#include "base/result.h"
#include "journal/recovery.h"
#include "journal/volume.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

inline constexpr uint64_t deletion_brake_objects = 1000;
// Clocks are read at different places, and coarse ones lag: how much earlier than the journal's last word a ctime
// still counts as later.
inline constexpr uint64_t ctime_margin_ns = 10'000'000'000;
// A host crash takes what was not yet written back; the kernel writes back within half a minute.
inline constexpr uint64_t crash_tail_ns = 60'000'000'000;

struct ReconcileOptions {
    // What journal recovery decided, because afterwards a survey no longer tells.
    journal::Action after = journal::Action::compare_suspects;
    // The administrator has said that the deletions are meant.
    bool accept_deletions = false;
    ProgressSink progress;
    BackingTree::OpenDirectory open_directory;  // for a process that is confined
};

struct ReconcileEvidence {
    std::string mode;  // "first copy", "suspects", "everything"
    std::string sentence;
    uint64_t objects_examined = 0;
    uint64_t files_compared = 0;
    uint64_t bytes_compared = 0;
    uint64_t repairs = 0;        // records, GAP records not counted
    uint64_t bytes_moved = 0;    // copied by the first copy, written by repairs
    uint64_t objects_removed = 0;
    uint64_t records_applied_bytes = 0;
    journal::Lsn gap_begin = 0;  // 0: no gap
    journal::Lsn gap_end = 0;
    double seconds = 0;
};
Json to_json(const ReconcileEvidence& evidence);

// BACKING_FD is the directory at the top of the backing tree, opened before the mount covered it; the volume's directory is
// never touched by path. Errors: busy, corrupt, io, no_space; permission for the deletion brake; unavailable when the
// progress sink stopped it. After any error the same call may be repeated.
Result<ReconcileEvidence> reconcile_volume(const journal::Volume& volume, int backing_fd,
                                           const ReconcileOptions& options, const Clock& clock);

// The inverse of journal::action_name(). Errors: invalid_argument.
Result<journal::Action> parse_action(std::string_view text);

}  // namespace holdfast::rewind
