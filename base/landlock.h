// Landlock: which files a process may still reach, by the kernel's own check at every opening, creating, renaming and removing. It holds for
// the rest of the process's life and for all that it starts.
//
// What the kernel does not check (Linux 6.18): what is done through descriptors that were open before, and looking at or changing owner,
// mode, times and xattrs of whatever can be named. base/jail.h sees to it that nothing else can be named.
//
// Files that are opened by a handle (open_by_handle_at): the kernel must find the way from the file to an allowed directory. It finds none
// for a file whose name is not in its cache: EACCES; and for a directory when the one around it is not in its cache either: ESTALE, as if it were
// gone (base/reconnector.h helps).
//
// Thread rule: before the second thread starts.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast {

// What there is beneath DIRECTORY may be read, and changed unless it is READ_ONLY; nothing may be executed. DIRECTORY may be a file, by
// whatever name it is reached.
struct LandlockRule {
    int directory;  // a descriptor
    bool read_only = false;
    bool only_existing = false;  // files that are there may be written to; none is made, removed, moved or truncated
};

// The kernel's version of Landlock: 0 without. 2 (Linux 5.19) is the first that lets files move between directories.
int landlock_version();
inline constexpr int landlock_version_needed = 2;
// What versions up to the newest that is known here check, and version VERSION does not, as parts of a sentence.
std::vector<std::string> not_checked_by_landlock(int version);

enum class LandlockTcp { none, may_connect };

// Also ends connecting (unless TCP says otherwise) and listening by TCP (version 4), and signals and abstract sockets to processes that are not
// confined with it (6). REQUIRES: landlock_version() >= landlock_version_needed, forgo_new_privileges().
Status restrict_by_landlock(const std::vector<LandlockRule>& rules, LandlockTcp tcp = LandlockTcp::none);

}  // namespace holdfast
