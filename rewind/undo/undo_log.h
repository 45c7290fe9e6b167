// The undo log: for every applied record, what it overwrote. Append-only segment files in STORE/undo, named by
// number; the log is the truth, the index is derived from it (docs/store_format.md).
//
// One undo record per applied journal record, in LSN order; it carries the journal record's LSN, time, type and
// object, and any number of items. A record without items still marks the moment (a BOOKMARK, an empty append).
//
// A journal record whose undo is large goes over several parts with the same LSN, `continued` set in all but the last.
// Only the last part makes it whole: until then end() does not move, and open() takes an unfinished one away.
//
// Durability: append() reaches the page cache; sync() makes all of it durable. The applier syncs before it
// changes the image. A failed sync fences the log: append and sync fail with io from then on.
// Limits: a segment is HF_UNDO_SEGMENT_BYTES; at most undo_open_files_max descriptors are open.
// Thread rule: append, sync and drop_below from the applier's thread; everything else from any thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/record.h"
#include "rewind/undo/undo_format.h"

namespace holdfast::rewind {

using journal::Lsn;
using journal::ObjectId;

// Byte address in the undo stream.
using UndoAddress = uint64_t;

inline constexpr size_t undo_open_files_max = 64;

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
    uint32_t unsynced_bytes = 0;  // what lies further back in its segment was durable before; set by append
    std::vector<UndoItem> items;
    UndoAddress address = 0;
    UndoAddress end = 0;
};

// A system call for each record would be a third of what applying a small write costs.
inline constexpr size_t undo_write_bytes = 1 << 20;

class UndoLog {
public:
    // Finds the end (a torn tail is cut off and reported in `evidence`). Errors: io; foreign; unsupported; corrupt when
    // the newest segments lost what had been durable (an older damaged one is told in `evidence`; its reads fail).
    // SEGMENT_BYTES counts for a new log only. Appended records are written when WRITE_BYTES of them have gathered.
    static Result<std::unique_ptr<UndoLog>> open(Disk& disk, const journal::VolumeId& volume, std::string* evidence,
                                                 uint64_t segment_bytes = HF_UNDO_SEGMENT_BYTES, size_t write_bytes = undo_write_bytes);
    ~UndoLog();

    // Appends and fills in the addresses of RECORD and of its items. Readers see it from the next sync() on at
    // the latest, and so does whoever opens the log after a death of this process.
    // REQUIRES: lsn at or after the end_lsn of what was appended last, or the next part of the record before.
    Status append(UndoRecord& record);
    // Everything appended is durable on return. REQUIRES: no journal record is half appended.
    // After an error of append() or sync() (no_space, io) the log takes nothing more until it is opened again; then it has all
    // that was synced, and perhaps some of what was appended after that.
    Status sync();

    UndoAddress begin() const;  // oldest kept
    UndoAddress end() const;    // past the newest whole record
    Lsn last_lsn() const;       // of the newest undo record; 0 when empty
    Lsn end_lsn() const;        // its end_lsn
    uint64_t used_bytes() const;
    uint64_t segment_bytes() const;  // an address lies in segment address / segment_bytes

    // Calls VISIT for every record from ADDRESS on, in order, until it returns false. Items borrow a buffer that
    // lives for the call. Seals are not shown. An address below begin() starts there if it is 0, otherwise it is
    // not_found: somebody would miss something. Errors: corrupt names the address.
    // REQUIRES: FROM is 0, begin(), end() or the address of a record.
    Status scan(UndoAddress from, const std::function<bool(const UndoRecord&)>& visit) const;
    // Walks one segment for verification: its header, its records up to end() (each shown to VISIT until that returns
    // false), and whether its seal fits them. Errors: not_found (dropped), corrupt, foreign, io.
    struct SegmentCheck {
        std::array<uint8_t, 16> chain_before{}, chain_after{};
        bool is_sealed = false;  // false: the newest segment, or VISIT stopped it
        uint64_t record_count = 0;
    };
    Result<SegmentCheck> check_segment(uint64_t number, const std::function<bool(const UndoRecord&)>& visit) const;
    // The bytes of a data or xattr item from SKIP on. Errors: not_found when it was dropped; corrupt when its checksum
    // says so: damaged bytes are never handed out.
    Status read_data(UndoAddress item, uint64_t skip, MutableByteSpan into) const;
    // One item, with its name, attributes and data copied into STORAGE.
    Result<UndoItem> read_item(UndoAddress item, std::vector<std::byte>& storage) const;

    // Drops whole segments that end at or below ADDRESS, oldest first, never the newest. Returns the new begin().
    // A journal record may have parts in a dropped segment and in the oldest kept one.
    Result<UndoAddress> drop_below(UndoAddress address);

private:
    class Impl;
    explicit UndoLog(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::rewind
