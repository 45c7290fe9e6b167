// The index: "the earliest undo after T for this block / this name / this attribute", and where each object lies
// in the image. RocksDB without its own log: what is not yet flushed at a crash is put in again from the undo log.
//
// Every question takes a moment T (an LSN: the state after all records that END at or below T) and answers with
// the first undo whose record lies at or after T. "Nothing" means: unchanged since T, the image's answer is right,
// provided the image was read before the index was asked.
//
// It keeps addresses into the undo log, not what stands there: attributes, xattr values and exact times are read from
// the log. docs/store_format.md has its keys, and what an answer costs.
//
// Questions about a moment below prune_below() fail with not_found: it has left the window. Corrupt: the index or the
// undo that it leads to is damaged.
//
// Thread rule: insert, flush, compact, prune_below and cut from the applier's thread, questions from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rewind/places.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

struct DataUndo {
    Lsn lsn;
    uint64_t offset, length;
    bool hole;
    UndoAddress item;   // a data item, whose bytes from `skip` on answer
    uint64_t skip = 0;
};

struct DirentUndo {
    std::string name;
    Lsn lsn;
    ObjectId previous;  // zero: was absent
};

// What happened to an object or to a directory entry, for `log`.
struct Event {
    Lsn lsn;
    uint64_t time_ns;
    hf_record_type type;
    UndoAddress record;
};

class Index final : public Places {
public:
    // UNDO outlives the index. Errors: corrupt (rebuild it from the undo log), unsupported, io.
    static Result<std::unique_ptr<Index>> open(const std::string& directory, const UndoLog& undo);
    ~Index() override;

    // Takes every record up to here in; after a crash the log is scanned from this address on.
    UndoAddress indexed_to() const;
    // All items of RECORDS, and the object locations that changed with them, atomically. Putting the same records in
    // again, in order and up to where the log ends, changes nothing. Locations are not in the log: after a crash the
    // applier sets those of the records from indexed_to() on again, as it applies them again.
    // REQUIRES: data and hole items of one record about one object are disjoint. Data items may come without their
    // bytes (length set): those are in the log.
    // A name that the first copy gave an object, or took away again: there is no record of it.
    struct HeldName { ObjectId object; ObjectId directory; std::string name; bool held; };
    Status insert(const std::vector<UndoRecord>& records, const std::vector<LocationChange>& changes,
                  const std::vector<HeldName>& names = {});
    Status flush();    // everything inserted survives a crash without the log
    Status compact();  // for measuring, and after pruning

    Result<std::optional<ImageLocation>> location(const ObjectId& object) const override;
    Status take_in(const std::vector<LocationChange>& changes) override { return insert({}, changes); }
    // The next objects behind AFTER, in the order of ids, that lie in the image or the graveyard; at most LIMIT.
    Result<std::vector<ObjectId>> objects_after(const ObjectId& after, size_t limit) const;
    // Undo ranges that answer for [offset, offset + length) at T: disjoint, ascending, clipped to the range.
    Result<std::vector<DataUndo>> data_at(const ObjectId& object, uint64_t offset, uint64_t length, Lsn at) const;
    Result<std::optional<ObjectAttributes>> attributes_at(const ObjectId& object, Lsn at) const;
    Result<std::optional<DirentUndo>> dirent_at(const ObjectId& directory, std::string_view name, Lsn at) const;
    // The first undo of every name of DIRECTORY that changed since T.
    Result<std::vector<DirentUndo>> dirents_at(const ObjectId& directory, Lsn at) const;
    struct XattrUndo { std::string name; bool present; std::string value; };
    Result<std::vector<XattrUndo>> xattrs_at(const ObjectId& object, Lsn at) const;
    // When the bytes or the entries of the object last changed before T, if no exact time was set since: what its time of
    // modification was at T. Nothing: attributes_at() tells it, or the window does not reach that far.
    Result<std::optional<uint64_t>> unsettled_time_at(const ObjectId& object, Lsn at) const;
    // False when the object was born after T (again, if an id was used twice).
    Result<bool> existed_at(const ObjectId& object, Lsn at) const;

    // All events of an object, oldest first; at most LIMIT, from FROM on: the records that are about it, a RENAME for
    // the object that moved and for the one that it replaced; not what happened to the entries of a directory. The
    // zero object: BOOKMARK and GAP records.
    Result<std::vector<Event>> events_of(const ObjectId& object, Lsn from, size_t limit) const;
    // Every binding that (directory, name) ever had in the window: previous() objects in LSN order.
    Result<std::vector<DirentUndo>> bindings_of(const ObjectId& directory, std::string_view name) const;
    // Every name an object had in the window, in LSN order; one that it had before the window, from the first copy or
    // from what was pruned, is told as gained at LSN 0. So a path is found from an object without
    // walking the tree: rewinding costs what changed. (directory, name, from LSN on it lost or gained it)
    struct NameEvent { Lsn lsn; ObjectId directory; std::string name; bool gained; };
    Result<std::vector<NameEvent>> names_of(const ObjectId& object) const;

    // The names that an object has after everything that was inserted.
    Result<std::vector<HeldName>> held_names(const ObjectId& object) const;

    // The last record whose time is at or below TIME: its end_lsn is the moment. Nothing: before the window.
    Result<std::optional<Lsn>> lsn_at_time(uint64_t time_ns) const;
    // The time of the last record that ends at or below LSN. Nothing: before the window.
    Result<std::optional<uint64_t>> time_at_lsn(Lsn lsn) const;
    // At or shortly before the first undo record that lies at or after LSN: where a scan of "since T" starts.
    Result<UndoAddress> undo_address_at(Lsn lsn) const;

    // Forgets everything that only undo records below LSN needed: at once for whoever asks, on disk as compactions come
    // by (within a day, or with compact()).
    Status prune_below(Lsn lsn);
    // Forgets everything that undo records from address AT on said, which is where the first record at or after LSN begins; the log
    // still has them. NAMES are held then, of those that these records touched. Durable on return, and may be repeated.
    Status cut(UndoAddress at, Lsn lsn, const std::vector<HeldName>& names);
    uint64_t bytes_on_disk() const;
    uint64_t inserted_records() const;  // since the index was made, as of the last flush and what came after

private:
    class Impl;
    explicit Index(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::rewind
