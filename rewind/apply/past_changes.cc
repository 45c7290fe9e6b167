#include "rewind/apply/past_changes.h"

#include "rewind/image.h"

namespace holdfast::rewind {

Result<PastChanges> PastChanges::collect(const UndoLog& undo, UndoAddress from) {
    PastChanges past;
    HF_TRY(undo.scan(from, [&](const UndoRecord& record) {
        past.take(record);
        return true;
    }));
    for (const ObjectId& object : past.unborn_) {
        past.sizes_.erase(object);
        past.changes_.objects()[object] = {.is_unborn = true};
    }
    return past;
}

void PastChanges::take(const UndoRecord& record) {
    // Its time of modification changed, although that need not have been saved.
    if (record.type == HF_WRITE || record.type == HF_TRUNCATE || record.type == HF_FALLOCATE) changes_.objects().try_emplace(record.object);
    for (const UndoItem& item : record.items) take(item);
}

void PastChanges::take(const UndoItem& item) {
    if (!item.object) return;
    ObjectChange& change = changes_.objects()[item.object];
    switch (item.kind) {
        case UndoKind::data:
        case UndoKind::hole: sizes_.try_emplace(item.object); break;
        case UndoKind::dirent: {
            if (seen_names_.count({item.object, item.name})) break;
            const std::string_view name = memory_.keep(item.name);
            seen_names_.insert({item.object, name});
            changes_.names().push_back({item.object, name, ObjectId{}, item.other});
            break;
        }
        case UndoKind::attributes: {
            if (change.valid & HF_ATTR_MODE) break;
            change.valid |= HF_ATTR_MODE | HF_ATTR_UID | HF_ATTR_GID | HF_ATTR_ATIME | HF_ATTR_MTIME;
            change.attributes.mode = item.attributes.mode;
            change.attributes.uid = item.attributes.uid;
            change.attributes.gid = item.attributes.gid;
            change.attributes.atime_ns = item.attributes.atime_ns;
            change.attributes.mtime_ns = item.attributes.mtime_ns;
            sizes_[item.object] = item.attributes.size;
            break;
        }
        case UndoKind::xattr: {
            if (is_private_xattr(item.name) || change.xattrs.count(item.name)) break;
            auto& value = change.xattrs[memory_.keep(item.name)];
            const ByteSpan bytes = memory_.keep(item.data);
            if (item.present) value = std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            break;
        }
        case UndoKind::birth: unborn_.push_back(item.object); break;
        case UndoKind::death:
        case UndoKind::event: break;
    }
}

std::vector<Index::HeldName> PastChanges::names() const {
    std::vector<Index::HeldName> held;
    for (const NameChange& name : changes_.names())
        if (name.wanted) held.push_back({name.wanted, name.directory, std::string(name.name), true});
    return held;
}

}  // namespace holdfast::rewind
