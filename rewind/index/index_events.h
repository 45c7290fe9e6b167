// What a record says about each object that it touches, as entries of the index: events, attributes, births and deaths,
// names. docs/store_format.md has the tables.
//
// A journal record whose undo has several parts comes in several times; for each object only the first event and the
// first attributes count, because they are the state before the record.
//
// Thread rule: one thread.
#pragma once

#include <rocksdb/write_batch.h>

#include <map>

#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

class IndexEvents {
public:
    // Adds to BATCH the entries of RECORD, all but data and times.
    void note(const UndoRecord& record, rocksdb::WriteBatch& batch);

private:
    struct Seen {
        bool event = false;
        bool attributes = false;
        bool entries_changed = false;
    };
    void note_objects(const UndoRecord& record, rocksdb::WriteBatch& batch);

    Lsn lsn_ = journal::lsn_max;     // of the record whose parts are coming in
    UndoAddress first_part_ = 0;
    std::map<ObjectId, Seen> seen_;  // in its parts so far
};

// Values of the event table.
struct EventValue {
    UndoAddress record = 0;      // with_attributes, event_only
    uint64_t time_ns = 0;
    hf_record_type type = HF_VOID;
    UndoAddress attributes = 0;  // with_attributes, attributes_only: the item
};
bool decode_event(std::string_view key, std::string_view value, EventValue& event);
bool is_gap_event(std::string_view key, std::string_view value);

inline constexpr char life_birth = 1;
inline constexpr char life_death = 2;

// An object id in a value; empty for none.
std::string object_value(const ObjectId& object);

}  // namespace holdfast::rewind
