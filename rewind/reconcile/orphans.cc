#include "rewind/reconcile/orphans.h"

#include <sys/stat.h>

#include "rewind/image.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

constexpr size_t events_page = 4096;

// Whether the object's story has ended before AT: its last event is its ORPHAN_END.
Result<bool> has_ended(const Index& index, const ObjectId& object, Lsn at) {
    bool has = false;
    Lsn from = 0;
    while (true) {
        const auto events = HF_TRY(index.events_of(object, from, events_page));
        for (const Event& event : events)
            if (event.lsn < at) has = event.type == HF_ORPHAN_END;
        if (events.size() < events_page) return has;
        from = events.back().lsn + 1;
    }
}

}  // namespace

Result<std::vector<ObjectId>> open_orphans(const Store& store, Lsn at) {
    std::vector<ObjectId> orphans;
    HF_TRY(read_directory(store.image().graveyard_fd(), [&](const DirectoryEntry& entry) -> Status {
        const auto object = parse_object_id(entry.name);
        if (!object) return ok();
        const auto location = HF_TRY(store.index().location(*object));
        // A directory's removal is its end.
        if (!location || location->links > 0 || (location->mode & S_IFMT) == S_IFDIR) return ok();
        if (!HF_TRY(has_ended(store.index(), *object, at))) orphans.push_back(*object);
        return ok();
    }));
    return orphans;
}

Status end_orphans(const Store& store, JournalTarget& target) {
    for (const ObjectId& object : HF_TRY(open_orphans(store, store.applied()))) {
        journal::Record record;
        record.type = HF_ORPHAN_END;
        record.object = object;
        record.body = journal::OrphanEnd{};
        HF_TRY(target.append_event(record));
    }
    return ok();
}

}  // namespace holdfast::rewind
