// The catalog of bookmarks: names for moments. STORE/bookmarks.json holds it; every change replaces the file whole.
//
// Bookmarks are born in the stream, as BOOKMARK records; the catalog follows the undo log, which keeps their names,
// and remembers how far it has looked (`covered`). So no crash loses one, a renamed or deleted one does not come
// back, and a damaged catalog is set aside and rebuilt from what the window still holds.
//
// Two records of one name are two moments: the later one is listed as NAME-2, NAME-3, ...
//
// Thread rule: all methods from any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"

namespace holdfast::rewind {

class Index;
class UndoLog;
using journal::Lsn;

inline constexpr size_t bookmarks_max = 100'000;
inline constexpr size_t bookmarks_file_bytes_max = 64 << 20;

struct BookmarkEntry {
    std::string name;
    Lsn lsn = 0;
    uint64_t time_ns = 0;
    bool operator==(const BookmarkEntry&) const = default;
};

class Bookmarks {
public:
    // DISK is the store's directory. Errors: io.
    static Result<std::unique_ptr<Bookmarks>> open(Disk& disk);

    std::vector<BookmarkEntry> list() const;  // by moment, oldest first
    std::optional<BookmarkEntry> find(std::string_view name) const;

    // Takes in the BOOKMARK records below APPLIED that are not covered yet, or forgets those that a history that was taken back does not
    // have any more. Durable on return. REQUIRES: called once after the store was opened, before it applies anything.
    Status follow(const Index& index, const UndoLog& undo, Lsn applied);
    // Takes in FOUND, which lie below COVERED_TO. The oldest are forgotten beyond bookmarks_max.
    Status add(std::vector<BookmarkEntry> found, Lsn covered_to);
    // Errors: not_found, exists, invalid_argument.
    Status rename(std::string_view from, std::string_view to);
    Status remove(std::string_view name);
    Lsn covered() const;

private:
    explicit Bookmarks(Disk& disk) : disk_(disk) {}
    Status load();
    Status forget_from(Lsn at);
    Status save(const std::vector<BookmarkEntry>& entries, Lsn covered);

    Disk& disk_;
    mutable std::mutex mutex_;
    std::vector<BookmarkEntry> entries_;  // by moment
    Lsn covered_ = 0;
};

}  // namespace holdfast::rewind
