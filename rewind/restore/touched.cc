#include "rewind/restore/touched.h"

#include "base/clock.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t report_every_records = 4096;

uint8_t part_of(hf_record_type type) {
    switch (type) {
        case HF_WRITE:
        case HF_TRUNCATE:
        case HF_FALLOCATE: return touched_data | touched_attributes;
        case HF_SETATTR:
        case HF_SETXATTR:
        case HF_REMOVEXATTR: return touched_attributes;
        case HF_CREATE:
        case HF_MKDIR:
        case HF_MKNOD:
        case HF_SYMLINK: return touched_data | touched_attributes | touched_names;
        case HF_LINK:
        case HF_UNLINK:
        case HF_RMDIR:
        case HF_RENAME: return touched_names;
        default: return 0;
    }
}

void take_in(const UndoRecord& record, Touched& touched) {
    // An append overwrites nothing and so may have no item; the record itself says what it was about.
    if (record.object)
        if (const uint8_t part = part_of(record.type)) touched.objects[record.object] |= part;
    for (const UndoItem& item : record.items) {
        switch (item.kind) {
            case UndoKind::data:
            case UndoKind::hole: touched.objects[item.object] |= touched_data; break;
            case UndoKind::dirent:
                touched.places.insert({item.object, std::string(item.name)});
                touched.directories.insert(item.object);
                if (item.other) touched.objects[item.other] |= touched_names;
                break;
            case UndoKind::attributes:
            case UndoKind::xattr: touched.objects[item.object] |= touched_attributes; break;
            case UndoKind::birth: touched.objects[item.object] |= part_of(HF_CREATE); break;
            case UndoKind::death: touched.objects[item.object] |= touched_names; break;
            case UndoKind::event: break;
        }
    }
}

}  // namespace

Error stopped_by_request() {
    return {ErrorCode::unavailable, "the work was asked to stop"};
}

Result<Touched> touched_between(const Index& index, const UndoLog& undo, Lsn from, Lsn to, const ProgressSink& progress) {
    Touched touched;
    if (from >= to) return touched;
    uint64_t records = 0;
    bool is_stopped = false;
    const UndoAddress start = HF_TRY(index.undo_address_at(from));
    HF_TRY(undo.scan(start, [&](const UndoRecord& record) {
        if (record.lsn >= to) return false;
        if (record.lsn < from) return true;
        take_in(record, touched);
        if (progress && ++records % report_every_records == 0) is_stopped = !progress({});
        return !is_stopped;
    }));
    if (is_stopped) return stopped_by_request();
    return touched;
}

}  // namespace holdfast::rewind
