// Opening a store: what a crash left behind is found out and repaired. docs/guarantees.md has the scenarios.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstring>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "rewind/apply/make_object.h"
#include "rewind/read_directory.h"
#include "rewind/store_state.h"

namespace holdfast::rewind {

namespace {

constexpr size_t index_batch_records = 4096;
constexpr size_t gap_events_at_once = 1024;
constexpr uint64_t small_window_bytes = 1ULL << 30;
constexpr uint64_t small_segment_bytes = 2 * HF_UNDO_RECORD_BYTES_MAX;

Result<UniqueFd> take_lock(const std::string& store) {
    UniqueFd lock(::open((store + "/store.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return errno_error(errno, "open the lock of store " + quoted(store));
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return Error{ErrorCode::busy, "another process has the store " + quoted(store) + " open"};
        if (errno != EINTR) return errno_error(errno, "lock the store " + quoted(store));
    }
    return lock;
}

}  // namespace

Status Store::Impl::open() {
    lock = HF_TRY(take_lock(volume.store));
    if (volume.has_standby_directory()) standby = HF_TRY(StandbyTree::open(volume, clock));
    return load();
}

Status Store::Impl::load() {
    HF_TRY(open_parts());
    HF_TRY(take_position());
    HF_TRY(open_index());
    image->find_names_in(*index);
    HF_TRY(name_root());
    applier = HF_TRY(Applier::create(*image, *index, *undo));
    if (first_copy_pending) {
        evidence += "The first copy is not complete. ";
        return ok();
    }
    HF_TRY(index_undo());
    if (const auto at = HF_TRY(is_to_be_taken_back())) {
        HF_TRY(take_back(*at));
        return load();
    }
    HF_TRY(load_gaps());
    return redo();
}

Status Store::Impl::open_parts() {
    store_disk = HF_TRY(open_disk(volume.store));
    journal_disk = HF_TRY(open_disk(volume.journal_directory));
    cursor_disk = HF_TRY(open_disk(volume.journal_directory + "/cursors"));
    image = std::make_unique<Image>(HF_TRY(Image::open(volume.store)));
    undo_disk = HF_TRY(open_disk(volume.store + "/undo"));
    // History goes by whole segments, so a small window needs small ones. The largest record must fit.
    const bool is_small = volume.window_bytes_max != 0 && volume.window_bytes_max < small_window_bytes;
    undo = HF_TRY(UndoLog::open(*undo_disk, volume.id, &evidence, is_small ? small_segment_bytes : HF_UNDO_SEGMENT_BYTES));
    repair_log = HF_TRY(RepairLog::open(*store_disk));
    if (!HF_TRY(chains.load(*store_disk))) evidence += "The file `chains` was damaged and is begun anew. ";
    const auto pending = store_disk->open(first_copy_file, Disk::Open::existing_read_only);
    if (!pending && pending.error().code != ErrorCode::not_found) return Error(pending.error());
    first_copy_pending = pending.has_value();
    return ok();
}

Status Store::Impl::take_position() {
    const auto loaded = HF_TRY(load_position(*store_disk, volume.id));
    if (loaded) position = *loaded;
    if (undo->end() < position.undo_end)
        return Error{ErrorCode::corrupt, "the undo log ends at address " + std::to_string(undo->end()) + ", but it was durable up to " +
                                             std::to_string(position.undo_end) + "; the disk lost what it had promised to keep"};
    window_begin = position.window_begin;
    applied = std::max(position.checkpoint, undo->end_lsn());
    // They are written before the position is.
    return chains.cut(*store_disk, position.checkpoint);
}

// The index is derived from the undo log and from the image, so a damaged one is made anew.
Status Store::Impl::open_index() {
    const std::string directory = volume.store + "/index";
    auto opened = Index::open(directory, *undo);
    const bool is_damaged = !opened && opened.error().code == ErrorCode::corrupt;
    if (!is_damaged) {
        index = HF_TRY(std::move(opened));
        if (index->indexed_to() <= undo->end()) return ok();
        evidence += "The index knew of undo that is not in the log. ";
        index.reset();
    }
    evidence += "The index was damaged and was made anew from the undo log and the image. ";
    log_warning("The index of the store " + quoted(volume.store) + " is damaged; it is made anew, which takes a while.");
    std::error_code failure;
    std::filesystem::remove_all(directory, failure);
    if (!failure) std::filesystem::create_directory(directory, failure);
    if (failure) return errno_error(failure.value(), "remove the damaged index");
    index = HF_TRY(Index::open(directory, *undo));
    return ok();
}

// The root's id and place. When the index does not know the place, or knows one on another file system because the store
// was copied, it knows no object's: they are all found by walking the image, where each carries its id.
Status Store::Impl::name_root() {
    const std::string id = journal::to_string(journal::root_object);
    const auto carried = image->object_of(image->root_fd());
    if (carried && *carried != journal::root_object)
        return Error{ErrorCode::foreign, "the image of store " + quoted(volume.store) + " is not the top of a volume"};
    if (!carried && carried.error().code != ErrorCode::corrupt) return Error(carried.error());
    if (!carried && ::fsetxattr(image->root_fd(), object_id_xattr, id.data(), id.size(), 0) != 0)
        return errno_error(errno, "write the id of the image's top (the store needs a file system with trusted xattrs)");

    const std::string handle = HF_TRY(file_handle_at(image->root_fd(), "")).bytes;
    const auto known = HF_TRY(index->location(journal::root_object));
    if (known && known->handle == handle) return ok();
    HF_TRY(index->insert({}, {{journal::root_object, ImageLocation{handle, S_IFDIR, 1}}}));
    return find_all_objects();
}

Status Store::Impl::find_all_objects() {
    std::vector<LocationChange> found;
    std::vector<Index::HeldName> names;
    size_t count = 0;
    const auto take = [&](int directory, const ObjectId& holder, const std::string& name) -> Result<ImageLocation> {
        const auto object = image->object_of(directory, name);
        if (!object) return Error(object.error());
        MadeObject there = HF_TRY(open_named(directory, name));
        if (!holder) there.location.links = 0;
        if (holder) names.push_back({*object, holder, name, true});
        found.push_back({*object, there.location});
        ++count;
        if (found.size() >= index_batch_records) {
            HF_TRY(index->insert({}, found, names));
            found.clear();
            names.clear();
        }
        return there.location;
    };
    // Directories still to be listed, by handle: neither depth nor breadth of the tree is bounded by descriptors.
    std::vector<std::string> waiting{HF_TRY(file_handle_at(image->root_fd(), "")).bytes};
    HF_TRY(read_directory(image->graveyard_fd(), [&](const DirectoryEntry& entry) -> Status {
        if (auto there = take(image->graveyard_fd(), ObjectId{}, entry.name); !there && there.error().code != ErrorCode::corrupt)
            return std::move(there).error();
        return ok();
    }));
    while (!waiting.empty()) {
        const UniqueFd directory = HF_TRY(image->open_object(ObjectId{}, {waiting.back(), S_IFDIR, 1}, O_RDONLY | O_DIRECTORY));
        waiting.pop_back();
        const ObjectId holder = HF_TRY(image->object_of(directory.get()));
        HF_TRY(read_directory(directory.get(), [&](const DirectoryEntry& entry) -> Status {
            auto there = take(directory.get(), holder, entry.name);
            // Without an id: the rest of a birth that a crash cut short; its record is applied again.
            if (!there && there.error().code == ErrorCode::corrupt) return ok();
            if (!there) return std::move(there).error();
            if (S_ISDIR(there->mode)) waiting.push_back(std::move(there->handle));
            return ok();
        }));
    }
    HF_TRY(index->insert({}, found, names));
    if (count > 0) evidence += "The places of " + std::to_string(count) + " objects were read from the image. ";
    return ok();
}

// What the index had not flushed.
Status Store::Impl::index_undo() {
    const UndoAddress from = index->indexed_to();
    std::vector<UndoRecord> records;
    Arena memory;
    size_t count = 0;
    Status inserted = ok();
    HF_TRY(undo->scan(from, [&](const UndoRecord& record) {
        records.push_back(record);
        for (UndoItem& item : records.back().items) {
            item.name = memory.keep(item.name);
            item.data = item.kind == UndoKind::data ? ByteSpan() : memory.keep(item.data);
        }
        ++count;
        if (records.size() < index_batch_records || record.continued) return true;
        inserted = index->insert(records, {});
        records.clear();
        memory.clear();
        return inserted.has_value();
    }));
    HF_TRY(std::move(inserted));
    if (!records.empty()) HF_TRY(index->insert(records, {}));
    if (count > 0) evidence += std::to_string(count) + " undo records were put into the index again. ";
    return ok();
}

Status Store::Impl::redo() {
    const Lsn from = position.checkpoint, to = applied;
    if (undo->end_lsn() <= from) return ok();
    journal::Reader journal(*journal_disk, volume.id, volume.segment_bytes, nullptr);
    JournalStream recorded(journal);
    RecordStream& stream = repair_log ? static_cast<RecordStream&>(*repair_log) : recorded;
    RedoReport report{0, from, {}};
    const bool is_left_as_it_is = awaits_repair && !repair_log;
    if (!is_left_as_it_is) report = HF_TRY(applier->redo(stream, from, to));
    evidence += std::to_string(report.records) + " records from lsn " + std::to_string(from) + " to " +
                std::to_string(report.to) + " were applied again. ";
    if (report.to < to) {
        // What the records changed that were not applied again may be in the image or not. Moments before them are exact, because the undo of
        // all of them is there; from there on nothing is, until image and tree, or source, were compared.
        const std::string which = "the records from lsn " + std::to_string(report.to) + " to " + std::to_string(to);
        const std::string loss = is_left_as_it_is ? "It is to be repaired, and " + which + " were not applied again" : "The journal lost " + which + " (" + report.loss + ")";
        evidence += loss + ", so moments from there to the end of the repair are not offered. ";
        log_warning("The store " + quoted(volume.store) + ": " + loss + ".");
        position.damaged_from = report.to;
        HF_TRY(doubt_standby());
        gaps.begin(HF_GAP_JOURNAL_DAMAGED, report.to);
    }
    // So that one crash after another does not apply ever more again.
    return checkpoint();
}

Status Store::Impl::load_gaps() {
    gaps.start(position.open_gaps);
    if (position.damaged_from) gaps.begin(HF_GAP_JOURNAL_DAMAGED, position.damaged_from);
    Lsn from = window_begin;
    while (true) {
        const auto events = HF_TRY(index->events_of(ObjectId{}, from, gap_events_at_once));
        for (const Event& event : events) {
            if (event.type != HF_GAP_BEGIN && event.type != HF_GAP_END) continue;
            Status followed = ok();
            HF_TRY(undo->scan(event.record, [&](const UndoRecord& record) {
                followed = follow_gap(record);
                return false;
            }));
            HF_TRY(std::move(followed));
        }
        if (events.size() < gap_events_at_once) return ok();
        from = events.back().lsn + 1;
    }
}

Status Store::Impl::follow_gap(const UndoRecord& record) {
    for (const UndoItem& item : record.items) {
        hf_gap gap;
        if (item.kind != UndoKind::event || item.data.size() < sizeof gap) continue;
        memcpy(&gap, item.data.data(), sizeof gap);
        const auto reason = static_cast<hf_gap_reason>(gap.reason);
        if (gap.reason >= 32) return Error{ErrorCode::corrupt, "a gap of an unknown reason in the undo log"};
        if (record.type == HF_GAP_BEGIN) gaps.begin(reason, record.lsn);
        if (record.type == HF_GAP_END) gaps.end(reason, record.end_lsn);
    }
    return ok();
}

}  // namespace holdfast::rewind
