// Restoring: what a path was at a moment, written beside the present as ordinary files.
//
// Planning is apart from writing: plan_restore() walks the view and knows what will be made and how large it is;
// restore() makes it. Everything is first made under a temporary name beside the target and then renamed into place, so
// that a crash, an error or a full disk leaves either nothing (an error removes what was made; after a crash the
// temporary name tells itself: `.holdfast-restore-...`) or all of it. Hard links within the restored set stay hard
// links; holes stay holes; owners, modes, times, xattrs and ACLs are exact. Below the destination symbolic links are
// never followed.
//
// Thread rule: pure functions over a view; the applier may run meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rewind/view.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

struct RestorePlan {
    ObjectId object;        // what PATH was
    uint32_t mode = 0;      // its type
    std::string directory;  // absolute path of the directory that will hold the target
    std::string name;       // the target's name in it
    std::string replaces;   // "", or what stands there now: "a file", "a directory", ...
    uint64_t files = 0;     // objects, directories included; a hard-linked one once
    uint64_t bytes = 0;     // of data that will be written, holes left out
    std::string target() const { return directory + "/" + name; }
};

// DESTINATION is absolute: a directory that exists (the target gets PATH's last name in it), or a new name in one that
// exists. With FORCE a target that is there is replaced. Errors: not_found (PATH did not exist then, or the
// destination's directory does not), exists (without FORCE), invalid_argument, no_space when the destination's file
// system has plainly not enough room.
Result<RestorePlan> plan_restore(const View& view, std::string_view path, const std::string& destination, bool force);

struct RestoreReport {
    std::string target;
    uint64_t files = 0;
    uint64_t bytes = 0;  // written
};
// Durable on return.
Result<RestoreReport> restore(const View& view, const RestorePlan& plan, const ProgressSink& progress = {});

}  // namespace holdfast::rewind
