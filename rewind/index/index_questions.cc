// What the index answers about objects: where they lie, their bytes, attributes and life, and about times.
#include "rewind/index/index_data.h"
#include "rewind/index/index_impl.h"

namespace holdfast::rewind {

Result<std::optional<ImageLocation>> Index::location(const ObjectId& object) const {
    std::string value;
    const auto status = impl_->db->Get({}, KeyWriter(IndexTable::location).object(object).bytes(), &value);
    if (status.IsNotFound()) return std::optional<ImageLocation>();
    HF_TRY(index_status(status, "read the index"));
    std::string_view rest = value;
    uint64_t mode = 0, links = 0;
    if (!get_varint(rest, mode) || !get_varint(rest, links) || mode > UINT32_MAX || links > UINT32_MAX) return index_nonsense();
    return std::optional(ImageLocation{std::string(rest), static_cast<uint32_t>(mode), static_cast<uint32_t>(links)});
}

Result<std::vector<ObjectId>> Index::objects_after(const ObjectId& after, size_t limit) const {
    const Impl::Prefix prefix(std::string(1, static_cast<char>(IndexTable::location)));
    const auto entries = impl_->iterate(prefix);
    std::vector<ObjectId> objects;
    for (entries->Seek(KeyWriter(IndexTable::location).object(after).bytes()); entries->Valid() && objects.size() < limit; entries->Next()) {
        KeyReader key(view_of(entries->key()).substr(prefix.bytes.size()));
        const ObjectId object = key.object();
        if (!key.is_whole() || key.left() != 0) return index_nonsense();
        if (object != after) objects.push_back(object);
    }
    HF_TRY(index_status(entries->status(), "read the index"));
    return objects;
}

Result<std::vector<DataUndo>> Index::data_at(const ObjectId& object, uint64_t offset, uint64_t length, Lsn at) const {
    const Impl::Prefix prefix(KeyWriter(IndexTable::data).object(object).bytes());
    auto found = HF_TRY(find_data(*impl_->iterate(prefix), object, offset, length, at));
    HF_TRY(impl_->check_window(at));
    return found;
}

Result<std::optional<ObjectAttributes>> Index::attributes_at(const ObjectId& object, Lsn at) const {
    const Impl::Prefix prefix(KeyWriter(IndexTable::event).object(object).bytes());
    const auto entries = impl_->iterate(prefix);
    Lsn earliest = journal::lsn_max;
    UndoAddress item = 0;
    for (const EventClass kind : {EventClass::with_attributes, EventClass::attributes_only}) {
        const std::string of_kind = KeyWriter(IndexTable::event).object(object).byte(static_cast<uint8_t>(kind)).bytes();
        entries->Seek(of_kind + KeyWriter(IndexTable::event).number(at).bytes().substr(1));
        HF_TRY(index_status(entries->status(), "read the index"));
        if (!entries->Valid() || !entries->key().starts_with(of_kind)) continue;
        const auto lsn = lsn_of_key(view_of(entries->key()));
        EventValue event;
        if (!lsn || !decode_event(view_of(entries->key()), view_of(entries->value()), event)) return index_nonsense();
        if (*lsn >= earliest) continue;
        earliest = *lsn;
        item = event.attributes;
    }
    HF_TRY(impl_->check_window(at));
    if (item == 0) return std::optional<ObjectAttributes>();
    std::vector<std::byte> storage;
    const UndoItem found = HF_TRY(impl_->undo.read_item(item, storage));
    if (found.kind != UndoKind::attributes) return index_nonsense();
    return std::optional(found.attributes);
}

Result<bool> Index::existed_at(const ObjectId& object, Lsn at) const {
    const Impl::Prefix prefix(KeyWriter(IndexTable::life).object(object).bytes());
    const auto entries = impl_->iterate(prefix);
    entries->Seek(KeyWriter(IndexTable::life).object(object).number(at).bytes());
    HF_TRY(index_status(entries->status(), "read the index"));
    HF_TRY(impl_->check_window(at));
    // An id that was used twice was dead between its death and its second birth.
    return !entries->Valid() || entries->value().empty() || entries->value()[0] != life_birth;
}

Result<std::optional<Lsn>> Index::lsn_at_time(uint64_t time_ns) const {
    return impl_->time.lsn_at_time(time_ns, impl_->indexed_to);
}

Result<std::optional<uint64_t>> Index::time_at_lsn(Lsn lsn) const {
    return impl_->time.time_at_lsn(lsn, impl_->indexed_to);
}

Result<UndoAddress> Index::undo_address_at(Lsn lsn) const {
    return impl_->time.undo_address_at(lsn);
}

}  // namespace holdfast::rewind
