#include "rewind/index/index_events.h"

#include <algorithm>

#include "rewind/index/index_keys.h"

namespace holdfast::rewind {

namespace {

using Batch = rocksdb::WriteBatch;

bool is_about_nothing(hf_record_type type) {
    return type == HF_BOOKMARK || type == HF_GAP_BEGIN || type == HF_GAP_END;
}

bool gives_a_name(hf_record_type type) {
    return type == HF_CREATE || type == HF_MKDIR || type == HF_MKNOD || type == HF_SYMLINK || type == HF_LINK;
}

void gain(Batch& batch, const ObjectId& object, const ObjectId& directory, std::string_view name, Lsn lsn) {
    batch.Put(KeyWriter(IndexTable::name_event).object(object).number(lsn).byte(1).object(directory).rest(name).bytes(), {});
    std::string since;
    put_varint(since, lsn);
    batch.Put(KeyWriter(IndexTable::held_name).object(object).object(directory).rest(name).bytes(), since);
}

void lose(Batch& batch, const ObjectId& object, const ObjectId& directory, std::string_view name, Lsn lsn) {
    batch.Put(KeyWriter(IndexTable::name_event).object(object).number(lsn).byte(0).object(directory).rest(name).bytes(), {});
    batch.Delete(KeyWriter(IndexTable::held_name).object(object).object(directory).rest(name).bytes());
}

// Which object ITEM's name leads to after the record; zero for none.
ObjectId bound_after(const UndoRecord& record, const UndoItem& item) {
    if (gives_a_name(record.type)) return record.object;
    if (record.type != HF_RENAME) return {};
    const bool is_old_name = item.other == record.object;
    if (!record.exchange) return is_old_name ? ObjectId{} : record.object;
    if (!is_old_name) return record.object;
    for (const UndoItem& other : record.items)
        if (other.kind == UndoKind::dirent && other.other != record.object) return other.other;
    return {};
}

void note_dirent(const UndoRecord& record, const UndoItem& item, Batch& batch) {
    const std::string previous = object_value(item.other);
    batch.Put(KeyWriter(IndexTable::by_name).object(item.object).name(item.name).number(record.lsn).bytes(), previous);
    batch.Put(KeyWriter(IndexTable::by_lsn).object(item.object).number(record.lsn).rest(item.name).bytes(), previous);
}

// Losses before gains, so that an object that trades its name for the same one keeps it.
void note_names(const UndoRecord& record, Batch& batch) {
    for (const UndoItem& item : record.items)
        if (item.kind == UndoKind::dirent && item.other) lose(batch, item.other, item.object, item.name, record.lsn);
    for (const UndoItem& item : record.items) {
        if (item.kind != UndoKind::dirent) continue;
        if (const ObjectId now = bound_after(record, item)) gain(batch, now, item.object, item.name, record.lsn);
    }
}

}  // namespace

std::string object_value(const ObjectId& object) {
    // As a key without its table, because it comes out again through a KeyReader.
    return object ? KeyWriter(IndexTable::meta).object(object).bytes().substr(1) : std::string();
}

void IndexEvents::note(const UndoRecord& record, Batch& batch) {
    if (record.lsn != lsn_) {
        lsn_ = record.lsn;
        first_part_ = record.address;
        seen_.clear();
    }
    note_objects(record, batch);
    note_names(record, batch);
    for (const UndoItem& item : record.items) {
        if (item.kind == UndoKind::dirent) note_dirent(record, item, batch);
        if (item.kind == UndoKind::birth || item.kind == UndoKind::death) {
            const char what = item.kind == UndoKind::birth ? life_birth : life_death;
            batch.Put(KeyWriter(IndexTable::life).object(item.object).number(record.lsn).bytes(), rocksdb::Slice(&what, 1));
        }
        if (item.kind == UndoKind::xattr) {
            std::string address;
            put_varint(address, item.address / HF_UNDO_ALIGNMENT);
            batch.Put(KeyWriter(IndexTable::xattr).object(item.object).name(item.name).number(record.lsn).bytes(), address);
        }
    }
}

void IndexEvents::note_objects(const UndoRecord& record, Batch& batch) {
    struct Said {
        bool event = false;
        bool entries_changed = false;
        UndoAddress attributes = 0;
    };
    std::map<ObjectId, Said> said;
    if (record.object || is_about_nothing(record.type)) said[record.object].event = true;
    for (const UndoItem& item : record.items) {
        if (item.kind == UndoKind::event) continue;
        Said& object = said[item.object];
        if (item.kind == UndoKind::dirent) object.entries_changed = true;
        if (item.kind == UndoKind::attributes && object.attributes == 0) object.attributes = item.address;
    }
    for (auto& [id, object] : said) {
        Seen& seen = seen_[id];
        seen.entries_changed = seen.entries_changed || object.entries_changed;
        // A directory whose entries changed is not what the record is about, unless it says so.
        object.event = object.event || (id && !seen.entries_changed);
        const bool event = object.event && !seen.event, attributes = object.attributes != 0 && !seen.attributes;
        seen.event = seen.event || object.event;
        seen.attributes = seen.attributes || attributes;
        if (!event && !attributes) continue;
        const EventClass kind = event && attributes ? EventClass::with_attributes
                                : event             ? EventClass::event_only
                                                    : EventClass::attributes_only;
        std::string value;
        if (event) {
            put_varint(value, first_part_ / HF_UNDO_ALIGNMENT);
            put_varint(value, record.time_ns);
            put_varint(value, static_cast<uint64_t>(record.type));
        }
        if (attributes) put_varint(value, (object.attributes - (event ? first_part_ : 0)) / HF_UNDO_ALIGNMENT);
        batch.Put(KeyWriter(IndexTable::event).object(id).byte(static_cast<uint8_t>(kind)).number(record.lsn).bytes(), value);
    }
}

bool decode_event(std::string_view key, std::string_view value, EventValue& event) {
    KeyReader reader(key.substr(1));
    reader.object();
    const auto kind = static_cast<EventClass>(reader.byte());
    uint64_t record = 0, type = 0, attributes = 0;
    if (kind != EventClass::attributes_only &&
        (!get_varint(value, record) || !get_varint(value, event.time_ns) || !get_varint(value, type)))
        return false;
    if (kind != EventClass::event_only && !get_varint(value, attributes)) return false;
    event.record = record * HF_UNDO_ALIGNMENT;
    event.attributes = event.record + attributes * HF_UNDO_ALIGNMENT;
    event.type = static_cast<hf_record_type>(type);
    return reader.is_whole() && value.empty() && type <= UINT16_MAX;
}

bool is_gap_event(std::string_view key, std::string_view value) {
    if (key.empty() || key.front() != static_cast<char>(IndexTable::event)) return false;
    EventValue event;
    return decode_event(key, value, event) && (event.type == HF_GAP_BEGIN || event.type == HF_GAP_END);
}

}  // namespace holdfast::rewind
