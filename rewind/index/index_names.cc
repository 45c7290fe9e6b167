// What the index answers about names: entries of directories, names of objects, xattrs, and events for the log.
#include <algorithm>
#include <unordered_set>

#include "rewind/index/index_impl.h"

namespace holdfast::rewind {

namespace {

Result<ObjectId> decode_object(std::string_view value) {
    if (value.empty()) return ObjectId{};
    KeyReader reader(value);
    const ObjectId object = reader.object();
    if (!reader.is_whole() || reader.left() != 0) return index_nonsense();
    return object;
}

std::string number_bytes(uint64_t number) {
    return KeyWriter(IndexTable::meta).number(number).bytes().substr(1);
}

}  // namespace

Result<std::optional<DirentUndo>> Index::dirent_at(const ObjectId& directory, std::string_view name, Lsn at) const {
    const Impl::Prefix prefix(KeyWriter(IndexTable::by_name).object(directory).name(name).bytes());
    const auto entries = impl_->iterate(prefix);
    entries->Seek(prefix.bytes + number_bytes(at));
    HF_TRY(index_status(entries->status(), "read the index"));
    HF_TRY(impl_->check_window(at));
    if (!entries->Valid()) return std::optional<DirentUndo>();
    const auto lsn = lsn_of_key(view_of(entries->key()));
    if (!lsn) return index_nonsense();
    const ObjectId previous = HF_TRY(decode_object(view_of(entries->value())));
    return std::optional(DirentUndo{std::string(name), *lsn, previous});
}

Result<std::vector<DirentUndo>> Index::bindings_of(const ObjectId& directory, std::string_view name) const {
    const Impl::Prefix prefix(KeyWriter(IndexTable::by_name).object(directory).name(name).bytes());
    const auto entries = impl_->iterate(prefix);
    std::vector<DirentUndo> bindings;
    for (entries->Seek(prefix.bytes + number_bytes(impl_->limit->lsn)); entries->Valid(); entries->Next()) {
        const auto lsn = lsn_of_key(view_of(entries->key()));
        if (!lsn) return index_nonsense();
        const ObjectId previous = HF_TRY(decode_object(view_of(entries->value())));
        bindings.push_back({std::string(name), *lsn, previous});
    }
    HF_TRY(index_status(entries->status(), "read the index"));
    return bindings;
}

Result<std::vector<DirentUndo>> Index::dirents_at(const ObjectId& directory, Lsn at) const {
    // By LSN: the cost is what changed since T, not every name that was ever there.
    const Impl::Prefix prefix(KeyWriter(IndexTable::by_lsn).object(directory).bytes());
    const auto entries = impl_->iterate(prefix);
    std::vector<DirentUndo> dirents;
    std::unordered_set<std::string> told;
    for (entries->Seek(prefix.bytes + number_bytes(at)); entries->Valid(); entries->Next()) {
        KeyReader reader(view_of(entries->key()).substr(prefix.bytes.size()));
        const Lsn lsn = reader.number();
        const std::string name(reader.rest());
        if (!reader.is_whole() || name.empty()) return index_nonsense();
        if (!told.insert(name).second) continue;
        const ObjectId previous = HF_TRY(decode_object(view_of(entries->value())));
        dirents.push_back({name, lsn, previous});
    }
    HF_TRY(index_status(entries->status(), "read the index"));
    HF_TRY(impl_->check_window(at));
    return dirents;
}

Result<std::vector<Index::XattrUndo>> Index::xattrs_at(const ObjectId& object, Lsn at) const {
    const Impl::Prefix prefix(KeyWriter(IndexTable::xattr).object(object).bytes());
    const auto entries = impl_->iterate(prefix);
    std::vector<XattrUndo> xattrs;
    std::vector<std::byte> storage;
    entries->Seek(prefix.bytes);
    while (entries->Valid()) {
        KeyReader reader(view_of(entries->key()).substr(prefix.bytes.size()));
        const std::string name(reader.name());
        const Lsn lsn = reader.number();
        uint64_t address = 0;
        std::string_view value = view_of(entries->value());
        if (!reader.is_whole() || !get_varint(value, address)) return index_nonsense();
        if (lsn < at) {
            // To the same name at T, or to the next name.
            entries->Seek(prefix.bytes + name + '\0' + number_bytes(at));
            continue;
        }
        const UndoItem item = HF_TRY(impl_->undo.read_item(address * HF_UNDO_ALIGNMENT, storage));
        if (item.kind != UndoKind::xattr || item.name != name) return index_nonsense();
        xattrs.push_back({name, item.present, std::string(reinterpret_cast<const char*>(item.data.data()), item.data.size())});
        entries->Seek(prefix.bytes + name + '\1');
    }
    HF_TRY(index_status(entries->status(), "read the index"));
    HF_TRY(impl_->check_window(at));
    return xattrs;
}

Result<std::vector<Event>> Index::events_of(const ObjectId& object, Lsn from, size_t limit) const {
    const Lsn limit_lsn = impl_->limit->lsn;
    const Impl::Prefix with(KeyWriter(IndexTable::event).object(object).byte(static_cast<uint8_t>(EventClass::with_attributes)).bytes());
    const Impl::Prefix only(KeyWriter(IndexTable::event).object(object).byte(static_cast<uint8_t>(EventClass::event_only)).bytes());
    const auto first = impl_->iterate(with), second = impl_->iterate(only);
    first->Seek(with.bytes + number_bytes(std::max(from, limit_lsn)));
    // Gaps are told although they are old: one that began before the window may end in it.
    second->Seek(only.bytes + number_bytes(object ? std::max(from, limit_lsn) : from));
    std::vector<Event> events;
    while (events.size() < limit && (first->Valid() || second->Valid())) {
        const auto lsn_of = [](const rocksdb::Iterator& at) {
            return at.Valid() ? lsn_of_key(view_of(at.key())) : std::optional(journal::lsn_max);
        };
        const auto first_lsn = lsn_of(*first), second_lsn = lsn_of(*second);
        if (!first_lsn || !second_lsn) return index_nonsense();
        rocksdb::Iterator& next = *first_lsn <= *second_lsn ? *first : *second;
        EventValue event;
        if (!decode_event(view_of(next.key()), view_of(next.value()), event)) return index_nonsense();
        const Lsn lsn = std::min(*first_lsn, *second_lsn);
        if (lsn >= limit_lsn || is_gap_event(view_of(next.key()), view_of(next.value())))
            events.push_back({lsn, event.time_ns, event.type, event.record});
        next.Next();
    }
    HF_TRY(index_status(first->status(), "read the index"));
    HF_TRY(index_status(second->status(), "read the index"));
    return events;
}

namespace {

enum class Change { none, unsettling, settling };

// What a record of this type does to the time of modification of the object that it is about.
Change change_of_time(hf_record_type type) {
    switch (type) {
        case HF_WRITE:
        case HF_TRUNCATE:
        case HF_FALLOCATE: return Change::unsettling;
        case HF_CREATE:
        case HF_MKDIR:
        case HF_MKNOD:
        case HF_SYMLINK:
        case HF_SETATTR: return Change::settling;
        default: return Change::none;
    }
}

}  // namespace

// The last record before AT that was about OBJECT and did something to its time. Nothing: none in the window.
Result<std::optional<Event>> Index::Impl::last_change_before(const ObjectId& object, Lsn at) const {
    std::optional<Event> last;
    for (const EventClass kind : {EventClass::with_attributes, EventClass::event_only}) {
        const Prefix prefix(KeyWriter(IndexTable::event).object(object).byte(static_cast<uint8_t>(kind)).bytes());
        const auto events = iterate(prefix);
        for (events->SeekForPrev(prefix.bytes + number_bytes(at)); events->Valid() && view_of(events->key()).starts_with(prefix.bytes); events->Prev()) {
            EventValue event;
            const auto lsn = lsn_of_key(view_of(events->key()));
            if (!lsn || !decode_event(view_of(events->key()), view_of(events->value()), event)) return index_nonsense();
            if (*lsn < limit->lsn || (last && *lsn < last->lsn)) break;
            if (*lsn >= at || change_of_time(event.type) == Change::none) continue;
            last = Event{*lsn, event.time_ns, event.type, event.record};
            break;
        }
        HF_TRY(index_status(events->status(), "read the index"));
    }
    return last;
}

// The last record before AT that changed an entry of DIRECTORY.
Result<std::optional<Lsn>> Index::Impl::last_entry_before(const ObjectId& directory, Lsn at) const {
    const Prefix prefix(KeyWriter(IndexTable::by_lsn).object(directory).bytes());
    const auto entries = iterate(prefix);
    entries->SeekForPrev(prefix.bytes + number_bytes(at));
    HF_TRY(index_status(entries->status(), "read the index"));
    if (!entries->Valid() || !view_of(entries->key()).starts_with(prefix.bytes)) return std::optional<Lsn>();
    const auto lsn = lsn_of_key(view_of(entries->key()));
    if (!lsn) return index_nonsense();
    return *lsn < limit->lsn ? std::optional<Lsn>() : lsn;
}

Result<std::optional<uint64_t>> Index::unsettled_time_at(const ObjectId& object, Lsn at) const {
    const auto change = HF_TRY(impl_->last_change_before(object, at));
    const auto entry = HF_TRY(impl_->last_entry_before(object, at));
    if (!entry || (change && change->lsn >= *entry))
        return change && change_of_time(change->type) == Change::unsettling ? std::optional(change->time_ns) : std::nullopt;
    std::optional<uint64_t> time_ns;
    HF_TRY(impl_->undo.scan(HF_TRY(undo_address_at(*entry)), [&](const UndoRecord& record) {
        if (record.lsn == *entry) time_ns = record.time_ns;
        return record.lsn < *entry;
    }));
    return time_ns;
}

Result<std::vector<Index::NameEvent>> Index::names_of(const ObjectId& object) const {
    const Lsn limit = impl_->limit->lsn;
    const Impl::Prefix changed(KeyWriter(IndexTable::name_event).object(object).bytes());
    std::vector<NameEvent> names;
    const auto changes = impl_->iterate(changed);
    for (changes->Seek(changed.bytes + number_bytes(limit)); changes->Valid(); changes->Next()) {
        KeyReader reader(view_of(changes->key()).substr(changed.bytes.size()));
        const Lsn lsn = reader.number();
        const bool gained = reader.byte() != 0;
        const ObjectId directory = reader.object();
        if (!reader.is_whole()) return index_nonsense();
        names.push_back({lsn, directory, std::string(reader.rest()), gained});
    }
    HF_TRY(index_status(changes->status(), "read the index"));

    // What is held since before the window, or was then lost in it, was gained before: at LSN 0.
    std::vector<NameEvent> before;
    const auto gained_before = [&](const ObjectId& directory, std::string_view name) {
        before.push_back({0, directory, std::string(name), true});
    };
    std::unordered_set<std::string> seen;
    const auto key_of = [](const NameEvent& event) {
        return KeyWriter(IndexTable::held_name).object(event.directory).rest(event.name).bytes();
    };
    for (const NameEvent& event : names)
        if (seen.insert(key_of(event)).second && !event.gained) gained_before(event.directory, event.name);
    for (const HeldName& name : HF_TRY(held_names(object)))
        if (!seen.count(key_of({0, name.directory, name.name, true}))) gained_before(name.directory, name.name);
    before.insert(before.end(), std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
    return before;
}

Result<std::vector<Index::HeldName>> Index::held_names(const ObjectId& object) const {
    const Impl::Prefix prefix(KeyWriter(IndexTable::held_name).object(object).bytes());
    const auto entries = impl_->iterate(prefix);
    std::vector<HeldName> names;
    for (entries->Seek(prefix.bytes); entries->Valid(); entries->Next()) {
        KeyReader reader(view_of(entries->key()).substr(prefix.bytes.size()));
        const ObjectId directory = reader.object();
        const std::string_view name = reader.rest();
        if (!reader.is_whole()) return index_nonsense();
        names.push_back({object, directory, std::string(name), true});
    }
    HF_TRY(index_status(entries->status(), "read the index"));
    return names;
}

}  // namespace holdfast::rewind
