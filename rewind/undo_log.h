// The undo log: for every applied record, what it overwrote. Append-only segment files in STORE/undo, named by
// number; the log is the truth, the index is derived from it (docs/store_format.md).
//
// One undo record per applied journal record, in LSN order; it carries the journal record's LSN, time, type and
// object, and any number of items. A record without items still marks the moment (a BOOKMARK, an empty append).
//
// Durability: append() reaches the page cache; sync() makes all of it durable. The applier syncs before it
// changes the image. A failed sync fences the log.
// Thread rule: append and sync from the applier's thread; read() from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/record.h"

namespace holdfast::rewind {

using journal::Lsn;
using journal::ObjectId;

// Byte address in the undo stream.
using UndoAddress = uint64_t;

// An object's attributes as of before the record.
struct ObjectAttributes {
    uint32_t mode = 0;
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t nlink = 0;
    uint64_t size = 0;
    uint64_t rdev = 0;
    int64_t atime_ns = 0;
    int64_t mtime_ns = 0;
    int64_t ctime_ns = 0;
    bool operator==(const ObjectAttributes&) const = default;
};

enum class UndoKind : uint8_t {
    data = 1,    // bytes of [offset, offset + length) as they were
    hole = 2,    // [offset, offset + length) was a hole
    dirent = 3,  // object's entry `name` led to `other` (zero: was absent)
    attributes = 4,
    xattr = 5,   // object's xattr `name` had `data` (present = false: was absent)
    birth = 6,   // the object did not exist before
    death = 7,   // the object lost its last name: it lies in the graveyard from here on
    event = 8,   // nothing was overwritten: `data` keeps a BOOKMARK's name or a GAP's payload, for the catalogs
};

struct UndoItem {
    UndoKind kind;
    ObjectId object;
    uint64_t offset = 0;
    uint64_t length = 0;      // data, hole: of the range
    std::string_view name;    // dirent, xattr
    ByteSpan data;            // data, xattr
    ObjectId other;           // dirent
    bool present = true;      // xattr
    ObjectAttributes attributes;
    UndoAddress address = 0;  // of the item itself; set by append and read
};

struct UndoRecord {
    Lsn lsn = 0;
    Lsn end_lsn = 0;  // where the next journal record begins
    uint64_t time_ns = 0;
    hf_record_type type = HF_VOID;
    uint16_t flags = 0;
    ObjectId object;
    bool continued = false;  // more parts of the same journal record follow
    bool exchange = false;   // RENAME that exchanged two names
    std::vector<UndoItem> items;
    UndoAddress address = 0;
    UndoAddress end = 0;
};

class UndoLog {
public:
    // Finds the end (a torn tail is cut off and reported in `evidence`). Errors: io, corrupt, foreign.
    static Result<std::unique_ptr<UndoLog>> open(Disk& disk, const journal::VolumeId& volume, std::string* evidence);
    ~UndoLog();

    // Appends and fills in the addresses of RECORD and of its items.
    Status append(UndoRecord& record);
    Status sync();

    UndoAddress begin() const;  // oldest kept
    UndoAddress end() const;
    Lsn last_lsn() const;       // of the newest undo record; 0 when empty
    Lsn end_lsn() const;        // its end_lsn
    uint64_t used_bytes() const;

    // Calls VISIT for every record from ADDRESS on, in order, until it returns false. Items borrow a buffer that
    // lives for the call. Errors: corrupt names the address.
    Status scan(UndoAddress from, const std::function<bool(const UndoRecord&)>& visit) const;
    // The bytes of a data or xattr item: LENGTH bytes at SKIP within it.
    Status read_data(UndoAddress item, uint64_t skip, MutableByteSpan into) const;
    // One item, with its name, attributes and data copied into STORAGE.
    Result<UndoItem> read_item(UndoAddress item, std::vector<std::byte>& storage) const;

    // Drops whole segments that end at or below ADDRESS. Returns the new begin().
    Result<UndoAddress> drop_below(UndoAddress address);

private:
    class Impl;
    explicit UndoLog(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::rewind
