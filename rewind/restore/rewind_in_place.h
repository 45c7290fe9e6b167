// Rewinding in place: a path of the live tree becomes what it was at a moment, through ordinary system calls on the
// mount, so that the rewind is itself recorded and can itself be rewound (N-02).
//
// plan_rewind() decides, from the present (everything applied) and the moment, and touches nothing. act_rewind() carries
// the plan out: objects that still live are moved back and get back only the bytes that differ, holes are punched,
// objects that are gone are made anew (hard links among them kept), newer ones are removed, attributes come last. Before
// it touches an object it makes sure that the object is the one that the plan means: by inode, which the mount shares
// with the backing tree. verify_rewind() compares afterwards, because applications may have written meanwhile.
//
// What the path means: after the rewind PATH holds what it held at the moment. An object that lived below PATH then and
// lives elsewhere now is moved back; one that lives below PATH now and lived elsewhere then is moved back there, or put
// beside that place as NAME.displaced when it is taken: nobody asked about it, so it must not be lost. Directories above
// PATH that were renamed since are left alone; PATH then means the object, wherever its directory stands.
//
// What is left out is not touched, whatever the path (left_alone.h).
//
// Killed in the middle: plan and act again. What waits in the staging directory `.holdfast-rewind-...` at the
// volume's top is in the plan like everything else, and the directory goes.
//
// Cost follows what changed between the moment and now, not what exists.
// Thread rule: pure functions; one rewind of a volume at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "journal/left_out.h"
#include "rewind/restore/difference.h"
#include "rewind/view.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

struct RewindWork;  // the actions by object; rewind/restore/rewind_plan.h

struct RewindPlan {
    std::string path;
    Lsn present = 0;        // the moment just before: rewinding to it undoes the rewind
    Lsn moment = 0;
    uint64_t files = 0;     // objects that will be touched
    uint64_t bytes = 0;     // of data that will be written
    uint64_t created = 0;   // objects made anew
    uint64_t removed = 0;   // objects removed
    uint64_t renamed = 0;   // objects moved back
    std::vector<std::string> kept;  // paths that stay as they are, because they are left out, lead to what is, or came from there
    std::vector<Change> changes;  // what the rewind changes, as difference(present, moment) tells it
    std::shared_ptr<const RewindWork> work;
};

// REQUIRES: store.applied() is the journal's published end and nothing is in flight; MOMENT is checked.
// Errors: not_found when PATH exists neither now nor then; unsupported when it is LEFT_OUT.
Result<RewindPlan> plan_rewind(const Store& store, std::string_view path, Lsn moment,
                               const ProgressSink& progress = {}, const journal::LeftOut& left_out = {});

struct RewindReport {
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t created = 0;
    uint64_t removed = 0;
    uint64_t renamed = 0;
    // What could not be done as planned, because applications changed it meanwhile; each a sentence, at most
    // rewind_problems_max. The rest was done.
    std::vector<std::string> problems;
};
inline constexpr size_t rewind_problems_max = 100;

// MOUNT_FD is the top directory of the live mount. Errors: io, no_space, permission; unavailable when the progress sink
// stopped it. What was done until then stays and is recorded; the same rewind may be run again. Durable on return.
Result<RewindReport> act_rewind(const Store& store, const RewindPlan& plan, int mount_fd,
                                const ProgressSink& progress = {});

// Compares the present (AFTER: applied, everything up to the rewind's end in it) with PLAN's moment below its path.
struct RewindVerification {
    uint64_t objects_compared = 0;
    uint64_t bytes_compared = 0;
    std::vector<std::string> differences;  // at most rewind_problems_max
};
Result<RewindVerification> verify_rewind(const Store& store, const RewindPlan& plan, Lsn after,
                                         const ProgressSink& progress = {});

}  // namespace holdfast::rewind
