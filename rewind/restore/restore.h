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
#include "base/unique_fd.h"
#include "rewind/view.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

// Where something is to be restored to.
struct RestorePlace {
    std::string directory;  // absolute path of a directory that exists
    std::string name;       // of the target in it; "": its own
    UniqueFd opened;        // the directory, for a process that cannot reach it by its path
};
// DESTINATION is absolute: a directory that exists, or a new name in one that exists; a symbolic link is followed. Errors: not_found, invalid_argument.
Result<RestorePlace> find_restore_place(const std::string& destination);

struct RestorePlan {
    ObjectId object;        // what PATH was
    uint32_t mode = 0;      // its type
    std::string directory;  // absolute path of the directory that will hold the target
    int directory_fd = -1;  // the same, where it is not reached by its path; borrowed from the place
    std::string name;       // the target's name in it
    std::string replaces;   // "", or what stands there now: "a file", "a directory", ...
    uint64_t files = 0;     // objects, directories included; a hard-linked one once
    uint64_t bytes = 0;     // of data that will be written, holes left out
    std::string target() const { return directory + "/" + name; }
    Result<UniqueFd> open_directory(int flags) const;
};

// With FORCE a target that is there is replaced. Errors: not_found (PATH did not exist then), exists
// (without FORCE), invalid_argument, no_space when the destination's file system has plainly not enough room.
Result<RestorePlan> plan_restore(const View& view, std::string_view path, const RestorePlace& place, bool force);
// Where DESTINATION is reached by its path.
Result<RestorePlan> plan_restore(const View& view, std::string_view path, const std::string& destination, bool force);

struct RestoreReport {
    std::string target;
    uint64_t files = 0;
    uint64_t bytes = 0;  // written
};
// Durable on return.
Result<RestoreReport> restore(const View& view, const RestorePlan& plan, const ProgressSink& progress = {});

}  // namespace holdfast::rewind
