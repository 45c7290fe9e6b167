// The command line that mount(8) gives to its helpers, and what it asks for:
//
//     mount.fuse.holdfast SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTION[,OPTION...]]
//
// Every option is a row of one table. What only concerns fstab or the init system is ignored; what is unknown is
// refused with a sentence (unless -s asks to be lenient), because an option that silently does nothing would be
// believed.
// Thread rule: plain values.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "fusefs/filter.h"

namespace holdfast::fusefs {

inline constexpr unsigned filter_threads_default = 8;
inline constexpr unsigned filter_threads_max = filter_serving_threads_max;

struct MountOptions {
    std::string source;     // the store, or anything for a null filter
    std::string directory;  // what to cover
    unsigned long flags = 0;  // MS_*, for mount(2)
    unsigned threads = filter_threads_default;
    bool null_filter = false;   // the same file system, recording nothing
    bool allow_bypass = false;  // mount although processes still write beneath the mount
    bool accept_deletions = false;  // the directory lost most of what it held while it was not mounted, and that is right
    bool remount = false;       // only change flags of the mount that is there
    bool fake = false;          // -f: check everything, mount nothing
    bool sloppy = false;        // -s: ignore options that are not known
    bool verbose = false;       // -v
};

// ARGUMENTS without the program's name. Errors: invalid_argument.
Result<MountOptions> parse_mount_options(const std::vector<std::string>& arguments);

}  // namespace holdfast::fusefs
