#include "rewind/index/index_time.h"

#include <algorithm>
#include <memory>

#include "rewind/index/index_keys.h"
#include "rewind/index/index_status.h"

namespace holdfast::rewind {

namespace {

std::string node_key(unsigned level, uint64_t number) {
    return KeyWriter(IndexTable::time).byte(static_cast<uint8_t>(level)).number(number).bytes();
}

// Dropped while it was being read: for a question about times there is nothing there.
Status unless_dropped(Status status) {
    if (!status && status.error().code == ErrorCode::not_found) return ok();
    return status;
}

}  // namespace

bool is_time_node_below(std::string_view key, UndoAddress address) {
    if (key.empty() || key.front() != static_cast<char>(IndexTable::time)) return false;
    KeyReader reader(key.substr(1));
    const unsigned level = reader.byte();
    const uint64_t number = reader.number();
    return reader.is_whole() && level < time_level_count && number < address >> time_shift_of(level);
}

Result<std::optional<IndexTime::Node>> IndexTime::load(unsigned level, uint64_t number) const {
    std::string value;
    const auto status = db_.Get({}, node_key(level, number), &value);
    if (status.IsNotFound()) return std::optional<Node>();
    HF_TRY(index_status(status, "read the index"));
    Node node;
    std::string_view rest = value;
    if (!get_varint(rest, node.lowest_ns) || !get_varint(rest, node.first))
        return Error{ErrorCode::corrupt, "a time in the index makes no sense"};
    return std::optional(node);
}

Status IndexTime::note(const UndoRecord& record, rocksdb::WriteBatch& batch) {
    for (unsigned level = 0; level < time_level_count; ++level) {
        const uint64_t number = record.address >> time_shift_of(level);
        Current& current = nodes_[level];
        bool changed = false;
        if (current.number != number) {
            // It exists already when records are put in again after a crash.
            const auto found = HF_TRY(load(level, number));
            changed = !found;
            current = {number, found.value_or(Node{record.time_ns, record.address})};
            if (changed && level == 0)
                batch.Put(KeyWriter(IndexTable::address).number(record.lsn).number(record.address).bytes(), {});
        }
        if (record.time_ns < current.node.lowest_ns) {
            current.node.lowest_ns = record.time_ns;
            changed = true;
        }
        if (changed) put(level, number, current.node, batch);
    }
    return ok();
}

void IndexTime::put(unsigned level, uint64_t number, const Node& node, rocksdb::WriteBatch& batch) const {
    std::string value;
    put_varint(value, node.lowest_ns);
    put_varint(value, node.first);
    batch.Put(node_key(level, number), value);
}

// The lowest time of the records below AT that begin in the stretch that AT lies in; nothing when there are none. Of the stretches of
// the level below, LOWEST_OF_LAST is that of the one that AT lies in.
Result<std::optional<uint64_t>> IndexTime::lowest_below(unsigned level, uint64_t number, UndoAddress at, const std::optional<uint64_t>& lowest_of_last) const {
    std::optional<uint64_t> lowest = lowest_of_last;
    const auto take = [&](uint64_t time_ns) { lowest = std::min(lowest.value_or(time_ns), time_ns); };
    if (level > 0) {
        for (uint64_t part = number << 6; part < at >> time_shift_of(level - 1); ++part)
            if (const auto node = HF_TRY(load(level - 1, part))) take(node->lowest_ns);
        return lowest;
    }
    const auto node = HF_TRY(load(level, number));
    if (!node || node->first >= at) return lowest;
    HF_TRY(undo_.scan(std::max(node->first, undo_.begin()), [&](const UndoRecord& record) {
        if (record.address >= at) return false;
        take(record.time_ns);
        return true;
    }));
    return lowest;
}

Status IndexTime::cut(UndoAddress at, Lsn lsn, rocksdb::WriteBatch& batch) {
    std::optional<uint64_t> lowest;
    for (unsigned level = 0; level < time_level_count; ++level) {
        const uint64_t number = at >> time_shift_of(level);
        lowest = HF_TRY(lowest_below(level, number, at, lowest));
        batch.DeleteRange(node_key(level, lowest ? number + 1 : number), key_behind(node_key(level, UINT64_MAX)));
        if (!lowest) continue;
        const auto node = HF_TRY(load(level, number));
        if (!node) return Error{ErrorCode::corrupt, "a time in the index is missing"};
        put(level, number, {*lowest, node->first}, batch);
    }
    batch.DeleteRange(KeyWriter(IndexTable::address).number(lsn).bytes(), key_behind(KeyWriter(IndexTable::address).bytes()));
    forget();
    return ok();
}

Result<std::optional<Lsn>> IndexTime::search_stretch(uint64_t number, const Node& node, uint64_t time_ns, UndoAddress below) const {
    std::optional<Lsn> last;
    const UndoAddress stop = std::min(below, (number + 1) << time_shift_of(0));
    const UndoAddress begin = undo_.begin();
    if (std::max(node.first, begin) >= stop) return last;
    HF_TRY(unless_dropped(undo_.scan(std::max(node.first, begin), [&](const UndoRecord& record) {
        if (record.address >= stop) return false;
        if (record.time_ns <= time_ns) last = record.end_lsn;
        return true;
    })));
    return last;
}

Result<std::optional<Lsn>> IndexTime::search(unsigned level, uint64_t low, uint64_t high, uint64_t time_ns, UndoAddress below) const {
    const std::string first = node_key(level, low);
    std::unique_ptr<rocksdb::Iterator> nodes(db_.NewIterator({}));
    for (nodes->SeekForPrev(node_key(level, high)); nodes->Valid() && nodes->key().compare(first) >= 0; nodes->Prev()) {
        KeyReader reader(std::string_view(nodes->key().data(), nodes->key().size()).substr(2));
        const uint64_t number = reader.number();
        Node node;
        std::string_view value(nodes->value().data(), nodes->value().size());
        if (!reader.is_whole() || !get_varint(value, node.lowest_ns) || !get_varint(value, node.first))
            return Error{ErrorCode::corrupt, "a time in the index makes no sense"};
        if (node.lowest_ns > time_ns) continue;
        auto found = level == 0 ? search_stretch(number, node, time_ns, below)
                                : search(level - 1, number << 6, (number << 6) + 63, time_ns, below);
        // Nothing, although the lowest time fits: the record that had it was pruned. Older stretches may know.
        if (!found || *found) return found;
    }
    HF_TRY(index_status(nodes->status(), "read the index"));
    return std::optional<Lsn>();
}

Result<std::optional<Lsn>> IndexTime::lsn_at_time(uint64_t time_ns, UndoAddress below) const {
    const unsigned top = time_level_count - 1;
    return search(top, 0, UINT64_MAX >> time_shift_of(top), time_ns, below);
}

Result<UndoAddress> IndexTime::undo_address_at(Lsn lsn) const {
    // Strictly before: of a record in several parts the last one may be the first of its stretch.
    const std::string key = KeyWriter(IndexTable::address).number(lsn).bytes();
    std::unique_ptr<rocksdb::Iterator> entries(db_.NewIterator({}));
    entries->SeekForPrev(key);
    HF_TRY(index_status(entries->status(), "read the index"));
    const UndoAddress begin = undo_.begin();
    if (!entries->Valid() || entries->key()[0] != static_cast<char>(IndexTable::address)) return begin;
    KeyReader reader(std::string_view(entries->key().data(), entries->key().size()).substr(1));
    reader.number();
    const UndoAddress address = reader.number();
    if (!reader.is_whole()) return Error{ErrorCode::corrupt, "an address in the index makes no sense"};
    return std::max(address, begin);
}

Result<std::optional<uint64_t>> IndexTime::time_at_lsn(Lsn lsn, UndoAddress below) const {
    for (Lsn from = lsn;;) {
        std::optional<uint64_t> last;
        std::optional<Lsn> first;
        const UndoAddress start = HF_TRY(undo_address_at(from));
        if (start >= below) return last;
        HF_TRY(unless_dropped(undo_.scan(start, [&](const UndoRecord& record) {
            if (record.address >= below || record.end_lsn > lsn) return false;
            if (!first) first = record.lsn;
            last = record.time_ns;
            return true;
        })));
        // The first record of a stretch may reach beyond LSN, when that is no boundary: then the one before is meant.
        if (last || start <= undo_.begin()) return last;
        Lsn earlier = from;
        HF_TRY(unless_dropped(undo_.scan(start, [&](const UndoRecord& record) {
            earlier = record.lsn;
            return false;
        })));
        if (earlier >= from) return last;
        from = earlier;
    }
}

}  // namespace holdfast::rewind
