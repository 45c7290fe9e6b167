// What differs between two moments below a path.
//
// Cost follows what changed between the moments: the undo log is scanned from the earlier one to the later one, and
// only the objects that it names are looked at. Bytes are compared where they were touched, so a file that was written
// with what it already held is not told as modified.
//
// Thread rule: pure functions over a store that may be applying meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rewind/view.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

struct Touched;

enum class ChangeKind : uint8_t { added, removed, modified, renamed };
const char* to_string(ChangeKind kind);

// What of an object differs; several may.
enum ChangedPart : uint32_t {
    changed_data = 1,
    changed_size = 2,
    changed_mode = 4,
    changed_owner = 8,
    changed_mtime = 16,
    changed_xattrs = 32,  // ACLs included
    changed_links = 64,   // it has other names besides those that both moments know
};
std::vector<std::string> changed_part_names(uint32_t parts);

struct Change {
    std::string path;       // at the later moment; for `removed` at the earlier one
    ChangeKind change = ChangeKind::modified;
    uint32_t mode = 0;      // type and permission bits, at the later moment if it is there
    uint32_t parts = 0;     // ChangedPart, of modified and renamed objects
    std::string from_path;  // renamed: at the earlier moment
    uint64_t bytes = 0;     // added: its size; removed: the size it had; otherwise bytes in ranges that differ
    ObjectId object;
};

// From FROM to TO (which may be the earlier one: then what going back changes). PATH is relative to the volume; an
// object counts when it lies at or below PATH at either moment. Sorted by path. REQUIRES: both moments are checked.
Result<std::vector<Change>> difference(const Store& store, std::string_view path, Lsn from, Lsn to,
                                       const ProgressSink& progress = {});
// The same for who has asked touched_between() already.
Result<std::vector<Change>> difference(const Store& store, std::string_view path, Lsn from, Lsn to,
                                       const Touched& touched, const ProgressSink& progress);

}  // namespace holdfast::rewind
