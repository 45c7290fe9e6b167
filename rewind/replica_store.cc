#include "rewind/replica_store.h"

#include "base/clock.h"
#include "base/mount_table.h"
#include "base/real_path.h"
#include "base/text.h"
#include "journal/segment.h"
#include "journal/store_layout.h"
#include "journal/writer.h"
#include "rewind/store_state.h"
#include "rewind/sync/repair_mark.h"

namespace holdfast::rewind {

namespace {

using journal::Lsn;
using journal::StoreState;
using journal::Volume;

Error taken(const std::string& store, const std::string& why) {
    return {ErrorCode::exists, quoted(store) + " cannot become the store of a replica: " + why};
}

// A store that is there already must be the one that was asked for: of this volume, with the same addresses and ids.
Result<Volume> known_store(const Volume& wanted) {
    const Volume known = HF_TRY(journal::load_volume(wanted.store));
    if (known.id != wanted.id) return taken(wanted.store, "it is the store of another volume, " + journal::to_string(known.id));
    if (!known.is_replica()) return taken(wanted.store, "it is the store of the directory " + quoted(known.directory));
    if (known.segment_bytes != wanted.segment_bytes || known.origin != wanted.origin)
        return taken(wanted.store, "it is a replica's of this volume, but the source's journal has changed its segment size or its origin since");
    return known;
}

// The registry knows one store per volume, and both would answer on the same socket.
Status check_others(const Volume& wanted) {
    for (const Volume& other : HF_TRY(journal::registered_volumes())) {
        if (other.store == wanted.store) continue;
        if (other.id == wanted.id)
            return taken(wanted.store, "this host has a store of the same volume in " + quoted(other.store) +
                                           "; forget that one first with `holdfast unprotect " + other.store + " --forget`");
        const bool is_nested = is_within(wanted.store, other.store) || is_within(other.store, wanted.store);
        if (is_nested) return taken(wanted.store, "it and the store " + quoted(other.store) + " lie in one another");
        if (!other.directory.empty() && (is_within(wanted.store, other.directory) || is_within(other.directory, wanted.store)))
            return taken(wanted.store, "it and the " + std::string(other.is_replica() ? "standby" : "protected") + " directory " + quoted(other.directory) + " lie in one another");
    }
    return ok();
}

// A store whose history has begun is not opened: its service may be following already.
Status begin_history(const Volume& volume, Lsn at) {
    auto store_disk = HF_TRY(open_disk(volume.store));
    // One that is being filled by comparison is not empty any more, and not yet full.
    if (HF_TRY(load_repair_mark(*store_disk))) return ok();
    const auto pending = store_disk->open(first_copy_file, Disk::Open::existing_read_only);
    if (!pending && pending.error().code == ErrorCode::not_found) return ok();
    auto disk = HF_TRY(open_disk(volume.journal_directory));
    journal::Reader journal(*disk, volume.id, volume.segment_bytes, nullptr);
    const auto store = HF_TRY(Store::open(volume, journal, system_clock()));
    return store->first_copy_pending() ? store->finish_first_copy(at) : ok();
}

}  // namespace

Result<Volume> make_replica_store(const std::string& store, const journal::VolumeId& id, uint64_t segment_bytes, uint32_t origin, Lsn at) {
    if (!journal::is_segment_size(segment_bytes) || origin == 0 || !store.starts_with('/'))
        return Error{ErrorCode::invalid_argument, "a replica's store needs an absolute path, the segment size and the origin of its source"};
    Volume volume;
    volume.id = id;
    volume.role = journal::VolumeRole::replica;
    volume.store = real_place(store);
    volume.journal_directory = volume.store + "/journal";
    volume.origin = origin;
    volume.segment_bytes = segment_bytes;
    volume.journal_bytes_max = std::max(volume.journal_bytes_max, segment_bytes * journal::journal_segments_min);
    HF_TRY(check_others(volume));
    const StoreState state = HF_TRY(journal::look_at_store(volume.store));
    if (state == StoreState::foreign) return taken(volume.store, "it is not an empty directory and no store");
    if (state == StoreState::made) {
        const Volume known = HF_TRY(known_store(volume));
        HF_TRY(begin_history(known, at));
        HF_TRY(journal::register_volume(known));
        return known;
    }
    journal::NewStore made = HF_TRY(journal::NewStore::make(volume));
    HF_TRY(begin_history(volume, at));
    made.keep();
    return volume;
}

}  // namespace holdfast::rewind
