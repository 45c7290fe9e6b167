#include "rewind/undo/undo_codec.h"

#include <cstring>

#include "base/check.h"

namespace holdfast::rewind {

namespace {

constexpr size_t padded(size_t bytes) {
    return (bytes + HF_UNDO_ALIGNMENT - 1) & ~size_t{HF_UNDO_ALIGNMENT - 1};
}

// Bytes of the kind's own fields; by UndoKind.
constexpr int own_bytes[] = {-1, 8, 16, sizeof(hf_object_id), sizeof(hf_undo_attributes), 0, 0, 0, 0};

template <typename T>
void put(std::vector<std::byte>& out, const T& value) {
    const ByteSpan bytes = bytes_of(value);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

template <typename T>
T get(ByteSpan bytes, size_t offset) {
    T value;
    memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

hf_undo_item item_head(const UndoItem& item, const ObjectId& owner) {
    HF_CHECK(item.name.size() <= UINT16_MAX);
    HF_CHECK(item.data.size() <= HF_UNDO_RECORD_BYTES_MAX);
    hf_undo_item head{};
    head.kind = static_cast<uint8_t>(item.kind);
    head.name_length = static_cast<uint16_t>(item.name.size());
    head.data_length = static_cast<uint32_t>(item.data.size());
    if (item.object != owner) head.flags |= HF_UNDO_ITEM_OTHER_OBJECT;
    if (item.kind == UndoKind::xattr && item.present) head.flags |= HF_UNDO_ITEM_PRESENT;
    return head;
}

hf_undo_attributes to_disk(const ObjectAttributes& a) {
    return {a.mode, a.uid, a.gid, a.nlink, a.size, a.rdev, a.atime_ns, a.mtime_ns, a.ctime_ns};
}

ObjectAttributes from_disk(const hf_undo_attributes& a) {
    return {a.mode, a.uid, a.gid, a.nlink, a.size, a.rdev, a.atime_ns, a.mtime_ns, a.ctime_ns};
}

void encode_item(const UndoItem& item, const ObjectId& owner, std::vector<std::byte>& out) {
    const size_t start = out.size();
    const hf_undo_item head = item_head(item, owner);
    put(out, head);
    if (head.flags & HF_UNDO_ITEM_OTHER_OBJECT) put(out, journal::to_disk(item.object));
    switch (item.kind) {
        case UndoKind::data:
            HF_CHECK(item.length == item.data.size());
            put(out, item.offset);
            break;
        case UndoKind::hole:
            put(out, item.offset);
            put(out, item.length);
            break;
        case UndoKind::dirent: put(out, journal::to_disk(item.other)); break;
        case UndoKind::attributes: put(out, to_disk(item.attributes)); break;
        case UndoKind::xattr:
        case UndoKind::birth:
        case UndoKind::death:
        case UndoKind::event: break;
    }
    const ByteSpan name = bytes_of(item.name);
    out.insert(out.end(), name.begin(), name.end());
    out.insert(out.end(), item.data.begin(), item.data.end());
    const uint64_t checksum = journal::xxh3_64(ByteSpan(out).subspan(start));
    memcpy(out.data() + start + offsetof(hf_undo_item, checksum), &checksum, sizeof checksum);
    out.resize(start + padded(out.size() - start));
}

// The checksum covers the field as zero, so it can be set in place afterwards. It is bound to the address: undo records
// that lie in the data of other ones, because somebody keeps a copy of a store in a protected directory, must not pass
// for records when the end of a damaged log is searched.
uint64_t bound_to(UndoAddress address, uint64_t checksum) {
    return checksum ^ journal::xxh3_64(bytes_of(address));
}

uint64_t set_checksum(std::vector<std::byte>& out, size_t start, UndoAddress address) {
    const uint64_t checksum = bound_to(address, journal::xxh3_64(ByteSpan(out).subspan(start)));
    memcpy(out.data() + start + offsetof(hf_undo_record, checksum), &checksum, sizeof checksum);
    return checksum;
}

Error nonsense(UndoAddress address, const char* what) {
    return {ErrorCode::corrupt, "undo record at " + std::to_string(address) + ": " + what};
}

}  // namespace

bool undo_item_is_whole(ByteSpan item) {
    if (item.size() < sizeof(hf_undo_item)) return false;
    const size_t field = offsetof(hf_undo_item, checksum);
    return journal::xxh3_64_without(item, field) == get<uint64_t>(item, field);
}

size_t undo_item_head_length(const hf_undo_item& head) {
    if (head.kind == 0 || head.kind >= std::size(own_bytes)) return 0;
    return sizeof head + (head.flags & HF_UNDO_ITEM_OTHER_OBJECT ? sizeof(hf_object_id) : 0) +
           static_cast<size_t>(own_bytes[head.kind]);
}

size_t encoded_undo_length(const UndoRecord& record) {
    size_t length = sizeof(hf_undo_record);
    for (const UndoItem& item : record.items) {
        const hf_undo_item head = item_head(item, record.object);
        length += padded(undo_item_head_length(head) + item.name.size() + item.data.size());
    }
    return length;
}

uint64_t encode_undo(UndoRecord& record, UndoAddress address, std::vector<std::byte>& out) {
    const size_t start = out.size();
    hf_undo_record head{};
    head.length = static_cast<uint32_t>(encoded_undo_length(record));
    head.type = static_cast<uint16_t>(record.type);
    head.flags = record.flags;
    head.lsn = record.lsn;
    head.end_lsn = record.end_lsn;
    head.time_ns = record.time_ns;
    head.object = journal::to_disk(record.object);
    HF_CHECK(record.items.size() <= HF_UNDO_PART_ITEMS_MAX);
    head.item_count = static_cast<uint16_t>(record.items.size());
    head.undo_flags = (record.continued ? HF_UNDO_CONTINUED : 0) | (record.exchange ? HF_UNDO_EXCHANGE : 0);
    head.unsynced_bytes = record.unsynced_bytes;
    HF_CHECK(head.length <= HF_UNDO_RECORD_BYTES_MAX);
    put(out, head);
    for (UndoItem& item : record.items) {
        item.address = address + (out.size() - start);
        encode_item(item, record.object, out);
    }
    HF_CHECK(out.size() - start == head.length);
    record.address = address;
    record.end = address + head.length;
    return set_checksum(out, start, address);
}

uint64_t encode_undo_seal(const hf_segment_end& seal, UndoAddress address, const UndoRecord& last,
                          std::vector<std::byte>& out) {
    const size_t start = out.size();
    hf_undo_record head{};
    head.length = undo_seal_bytes;
    head.type = HF_SEGMENT_END;
    head.lsn = last.lsn;
    head.end_lsn = last.end_lsn;
    head.unsynced_bytes = last.unsynced_bytes;
    put(out, head);
    put(out, seal);
    return set_checksum(out, start, address);
}

size_t claimed_undo_length(ByteSpan bytes) {
    if (bytes.size() < sizeof(hf_undo_record)) return 0;
    const auto length = get<uint32_t>(bytes, 0);
    const bool possible = length >= sizeof(hf_undo_record) && length <= HF_UNDO_RECORD_BYTES_MAX &&
                          length % HF_UNDO_ALIGNMENT == 0;
    return possible ? length : 0;
}

Result<UndoItem> decode_undo_item(ByteSpan bytes, UndoAddress address, const ObjectId& owner, size_t* taken) {
    if (bytes.size() < sizeof(hf_undo_item)) return nonsense(address, "an item is cut off");
    const auto head = get<hf_undo_item>(bytes, 0);
    const size_t fixed = undo_item_head_length(head);
    if (fixed == 0) return nonsense(address, "an item of an unknown kind");
    if (head.flags & ~HF_UNDO_ITEM_FLAGS_ALL) return nonsense(address, "an item with unknown flags");
    const size_t whole = fixed + head.name_length + head.data_length;
    if (whole > bytes.size()) return nonsense(address, "an item reaches beyond its record");
    UndoItem item{};
    item.kind = static_cast<UndoKind>(head.kind);
    item.object = owner;
    item.address = address;
    size_t at = sizeof head;
    if (head.flags & HF_UNDO_ITEM_OTHER_OBJECT) {
        item.object = journal::from_disk(get<hf_object_id>(bytes, at));
        at += sizeof(hf_object_id);
    }
    if (item.kind == UndoKind::data || item.kind == UndoKind::hole) item.offset = get<uint64_t>(bytes, at);
    if (item.kind == UndoKind::hole) item.length = get<uint64_t>(bytes, at + 8);
    if (item.kind == UndoKind::data) item.length = head.data_length;
    if (item.length > INT64_MAX || item.offset > INT64_MAX) return nonsense(address, "an item beyond any file's end");
    if (item.kind == UndoKind::dirent) item.other = journal::from_disk(get<hf_object_id>(bytes, at));
    if (item.kind == UndoKind::attributes) item.attributes = from_disk(get<hf_undo_attributes>(bytes, at));
    item.present = item.kind != UndoKind::xattr || (head.flags & HF_UNDO_ITEM_PRESENT) != 0;
    item.name = {reinterpret_cast<const char*>(bytes.data()) + fixed, head.name_length};
    item.data = bytes.subspan(fixed + head.name_length, head.data_length);
    *taken = std::min(padded(whole), bytes.size());
    return item;
}

Result<DecodedUndo> decode_undo(ByteSpan bytes, UndoAddress address) {
    const size_t length = claimed_undo_length(bytes);
    const Error torn{ErrorCode::torn, "no whole undo record at " + std::to_string(address)};
    if (length == 0 || length > bytes.size()) return torn;
    auto head = get<hf_undo_record>(bytes, 0);
    // Hashed in three pieces instead of copying the record to zero one field of it.
    const uint64_t checksum = journal::xxh3_64_without(bytes.first(length), offsetof(hf_undo_record, checksum));
    if (bound_to(address, checksum) != head.checksum) return torn;

    if (head.type > HF_PROMOTE) return nonsense(address, "of a type that no journal record has");

    DecodedUndo decoded{};
    decoded.checksum = head.checksum;
    decoded.is_seal = head.type == HF_SEGMENT_END;
    UndoRecord& record = decoded.record;
    record.lsn = head.lsn;
    record.end_lsn = head.end_lsn;
    record.time_ns = head.time_ns;
    record.type = static_cast<hf_record_type>(head.type);
    record.flags = head.flags;
    record.object = journal::from_disk(head.object);
    record.continued = (head.undo_flags & HF_UNDO_CONTINUED) != 0;
    record.exchange = (head.undo_flags & HF_UNDO_EXCHANGE) != 0;
    record.unsynced_bytes = head.unsynced_bytes;
    record.address = address;
    record.end = address + length;
    if (decoded.is_seal) {
        if (length != undo_seal_bytes) return nonsense(address, "a seal of the wrong length");
        decoded.seal = get<hf_segment_end>(bytes, sizeof head);
        return decoded;
    }
    if (head.undo_flags & ~HF_UNDO_FLAGS_ALL) return nonsense(address, "unknown flags");
    if (head.item_count > HF_UNDO_PART_ITEMS_MAX) return nonsense(address, "too many items");
    record.items.reserve(head.item_count);
    size_t at = sizeof head;
    for (uint32_t i = 0; i < head.item_count; ++i) {
        size_t taken = 0;
        auto item = HF_TRY(decode_undo_item(bytes.subspan(at, length - at), address + at, record.object, &taken));
        record.items.push_back(item);
        at += taken;
    }
    if (at != length) return nonsense(address, "bytes behind the last item");
    return decoded;
}

}  // namespace holdfast::rewind
