// Applying records again, after a crash or a failure left the image somewhere between two positions.
//
// Every file, name and attribute that the records do not touch is as it was at FROM, because that was a checkpoint. What
// they do touch may be of any age in between. Names and attributes are brought to their final state, whatever they
// are now; bytes are changed record by record, and the last record that touches a byte decides it.
#include <sys/stat.h>

#include <optional>

#include "base/check.h"
#include "rewind/apply/applier.h"
#include "rewind/apply/change_data.h"
#include "rewind/apply/change_names.h"

namespace holdfast::rewind {

namespace {

// Calls VISIT for every record of [from, to).
Status read_journal(RecordStream& journal, Lsn from, Lsn to, const std::function<Status(const Record&)>& visit) {
    journal.seek(from);
    while (journal.position() < to) {
        const auto record = HF_TRY(journal.next());
        if (!record) {
            return Error{ErrorCode::corrupt, "the journal ends at lsn " + std::to_string(journal.position()) +
                                                 ", but the store has taken records up to lsn " + std::to_string(to) +
                                                 " and must read them again"};
        }
        if (record->lsn >= to) break;
        HF_TRY(visit(*record));
    }
    return ok();
}

// Side effects of the kernel that the records did not ask for: see Changes::keep_mode().
struct Kept {
    std::unordered_map<Lsn, uint32_t> modes;
    std::unordered_map<Lsn, std::string> capabilities;
    std::unordered_multimap<Lsn, std::pair<ObjectId, int64_t>> times;  // of directories that moved
};

void keep_times_of_moved(const UndoRecord& record, Kept& kept) {
    for (const UndoItem& item : record.items) {
        if (item.kind != UndoKind::attributes || !S_ISDIR(item.attributes.mode)) continue;
        // An exchange has no other attributes; otherwise the other one is a directory that was replaced.
        if (item.object == record.object || record.exchange) kept.times.insert({record.lsn, {item.object, item.attributes.mtime_ns}});
    }
}

Result<Kept> read_kept(const UndoLog& undo, UndoAddress start, Lsn from, Lsn to) {
    Kept kept;
    HF_TRY(undo.scan(start, [&](const UndoRecord& record) {
        if (record.lsn >= to) return false;
        const bool is_data = record.type == HF_WRITE || record.type == HF_TRUNCATE || record.type == HF_FALLOCATE;
        if (record.lsn >= from && record.type == HF_RENAME) keep_times_of_moved(record, kept);
        if (record.lsn < from || !(is_data || record.type == HF_SETATTR)) return true;
        for (const UndoItem& item : record.items) {
            if (item.object != record.object) continue;
            if (item.kind == UndoKind::attributes && record.type == HF_SETATTR) kept.modes[record.lsn] = item.attributes.mode;
            if (item.kind == UndoKind::xattr && item.name == capability_xattr)
                kept.capabilities[record.lsn].assign(reinterpret_cast<const char*>(item.data.data()), item.data.size());
        }
        return true;
    }));
    return kept;
}

// A record without the bytes of a file, which are read again when their turn comes.
Record without_data(Record record) {
    if (record.type == HF_WRITE) record.body = journal::Write{record.as<journal::Write>().offset, {}};
    return record;
}

}  // namespace

Result<RedoReport> Applier::redo(RecordStream& journal, Lsn from, Lsn to) {
    files_.clear();
    unsettled_.clear();
    builder_.written().clear();
    Batch records;
    Changes changes;
    const RedoReport report = HF_TRY(collect(journal, from, to, records, changes));
    NameChanger names(files_, changes);
    HF_TRY(names.discover());
    HF_TRY(names.run());
    HF_TRY(redo_data(journal, from, report.to));
    HF_TRY(change_attributes(changes));
    HF_TRY(publish());
    return report;
}

// The journal is damaged, not the disk that it is on: trying again would not help.
static bool is_loss(ErrorCode code) {
    return code == ErrorCode::corrupt || code == ErrorCode::torn || code == ErrorCode::not_found || code == ErrorCode::foreign;
}

Result<RedoReport> Applier::collect(RecordStream& journal, Lsn from, Lsn to, Batch& records, Changes& changes) {
    const Kept kept = HF_TRY(read_kept(undo_, HF_TRY(index_.undo_address_at(from)), from, to));
    // All of them first: changes borrow from records, which move while their list grows.
    RedoReport report{0, from, {}};
    const Status read = read_journal(journal, from, to, [&](const Record& record) -> Status {
        records.add(without_data(record));
        report.to = record.end();
        return ok();
    });
    if (!read && !is_loss(read.error().code)) return Error(read.error());
    if (!read) report.loss = read.error().message;
    if (read) report.to = to;
    report.records = records.records().size();
    for (const Record& record : records.records()) {
        if (const auto mode = kept.modes.find(record.lsn); mode != kept.modes.end()) {
            const uint32_t valid = record.as<journal::SetAttr>().attributes.valid;
            if (valid & (HF_ATTR_UID | HF_ATTR_GID) && !(valid & HF_ATTR_MODE) && !S_ISLNK(mode->second))
                changes.keep_mode(record.object, mode->second);
        }
        if (const auto value = kept.capabilities.find(record.lsn); value != kept.capabilities.end())
            changes.keep_capability(record.object, records.arena().keep(std::string_view(value->second)));
        const auto [first, last] = kept.times.equal_range(record.lsn);
        for (auto time = first; time != last; ++time) changes.keep_time(time->second.first, time->second.second);
        changes.follow(record);
    }
    return report;
}

Status Applier::redo_data(RecordStream& journal, Lsn from, Lsn to) {
    return read_journal(journal, from, to, [&](const Record& record) -> Status {
        if (record.type == HF_CREATE) return empty_file(HF_TRY(files_.fd(record.object)));
        if (is_shift(record)) return redo_shift(record);
        if (!is_data_record(record)) return ok();
        const int fd = HF_TRY(files_.fd(record.object));
        HF_TRY(grow_as_before(fd, record));
        HF_TRY(free_space_ahead(fd, record, block_bytes_));
        return change_data(fd, record);
    });
}

// The file may be shorter than it was, by a record that is still to come.
Status Applier::grow_as_before(int fd, const Record& record) {
    if (gap_end(record) <= HF_TRY(size_of(fd))) return ok();
    const auto before = HF_TRY(size_before(record));
    return grow_to_size_before(fd, before, block_bytes_);
}

// Bytes that were moved already would be moved again. So the file becomes first what the undo log says it was: the log
// has everything from the record's offset on, and its size; what lies before is not moved. The size comes first, because
// growing may fill a hole at the end (btrfs) that the log then makes one again.
Status Applier::redo_shift(const Record& record) {
    const int fd = HF_TRY(files_.fd(record.object));
    const auto size = HF_TRY(size_before(record));
    if (!size) return Error{ErrorCode::corrupt, "the undo log has no size for the shift at lsn " + std::to_string(record.lsn)};
    HF_TRY(grow_to_size_before(fd, size, block_bytes_));
    HF_TRY(set_file_size(fd, *size));
    HF_TRY(visit_undo_of(record, [&](const UndoRecord& undo) { return restore_bytes(fd, record.object, undo.items); }));
    return change_data(fd, record);
}

// Of the file of RECORD when that was applied first; nothing when the record did not change it.
Result<std::optional<uint64_t>> Applier::size_before(const Record& record) {
    std::optional<uint64_t> size;
    HF_TRY(visit_undo_of(record, [&](const UndoRecord& undo) -> Status {
        for (const UndoItem& item : undo.items)
            if (item.kind == UndoKind::attributes && item.object == record.object) size = item.attributes.size;
        return ok();
    }));
    return size;
}

Status Applier::visit_undo_of(const Record& record, const std::function<Status(const UndoRecord&)>& visit) {
    Status visited = ok();
    HF_TRY(undo_.scan(HF_TRY(index_.undo_address_at(record.lsn)), [&](const UndoRecord& undo) {
        if (undo.lsn < record.lsn) return true;
        if (undo.lsn > record.lsn) return false;
        visited = visit(undo);
        return visited.has_value() && undo.continued;
    }));
    return visited;
}

}  // namespace holdfast::rewind
