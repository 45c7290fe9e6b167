// The versions of a path: what happened to whatever had this name, oldest first.
//
// A path may have led to several objects in the course of the window, itself or through directories that were renamed
// or replaced; all of them are told, each for as long as it lives, under the names it had at the time. Deleted paths
// work like present ones. Fine-grained records are told as one version when they follow each other within a burst: the
// writes of one save are one entry.
//
// Cost follows the number of events of these objects, not the size of tree or window.
// Thread rule: pure functions over a store that may be applying meanwhile.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rewind/index/index.h"

namespace holdfast::rewind {

class Store;

inline constexpr size_t log_versions_default = 1000;
inline constexpr size_t log_objects_max = 256;  // objects of one path; beyond it the oldest are left out, and said so

struct Version {
    Lsn lsn = 0;           // the moment at which this version stands: give it to restore or rewind
    uint64_t time_ns = 0;  // of the entry's last record
    std::string event;     // created, written, truncated, renamed, linked, unlinked, removed, replaced, mode, owner, ...
    std::string path;      // at that moment; for a removal the name that was lost
    std::string detail;    // for a person: "3 writes", "from a/b", "0644 -> 0600"
    std::optional<uint64_t> size;  // of a regular file at that moment
    ObjectId object;
};

struct LogOptions {
    size_t limit = log_versions_default;     // the newest ones are kept
    uint64_t burst_ns = 1'000'000'000;
};

// PATH is relative to the volume, "" is the root. Errors: not_found when nothing in the window ever had it.
Result<std::vector<Version>> version_log(const Store& store, std::string_view path, const LogOptions& options = {});

}  // namespace holdfast::rewind
