#include "rewind/index/index.h"

#include "rewind/index/index_data.h"
#include "rewind/index/index_impl.h"
#include "rewind/index/index_options.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t format_version = 1;

const std::string version_key = KeyWriter(IndexTable::meta).rest("version").bytes();
const std::string indexed_key = KeyWriter(IndexTable::meta).rest("indexed_to").bytes();
const std::string pruned_key = KeyWriter(IndexTable::meta).rest("pruned").bytes();
const std::string records_key = KeyWriter(IndexTable::meta).rest("records").bytes();

std::string varint(uint64_t value) {
    std::string bytes;
    put_varint(bytes, value);
    return bytes;
}

}  // namespace

Result<std::optional<uint64_t>> Index::Impl::meta(const std::string& key) const {
    std::string value;
    const auto status = db->Get({}, key, &value);
    if (status.IsNotFound()) return std::optional<uint64_t>();
    HF_TRY(index_status(status, "read the index"));
    std::string_view rest = value;
    uint64_t number = 0;
    if (!get_varint(rest, number) || !rest.empty()) return index_nonsense();
    return std::optional(number);
}

Status Index::Impl::load() {
    const auto version = HF_TRY(meta(version_key));
    if (version && *version != format_version)
        return Error{ErrorCode::unsupported, "the index has format version " + std::to_string(*version) +
                                                 "; this program knows version " + std::to_string(format_version)};
    if (!version) {
        rocksdb::WriteBatch batch;
        batch.Put(version_key, varint(format_version));
        HF_TRY(write(batch));
    }
    indexed_to = HF_TRY(meta(indexed_key)).value_or(0);
    records = HF_TRY(meta(records_key)).value_or(0);
    limit->lsn = HF_TRY(meta(pruned_key)).value_or(0);
    limit->address = undo.begin();
    return ok();
}

Status Index::Impl::write(rocksdb::WriteBatch& batch) {
    rocksdb::WriteOptions options;
    options.disableWAL = true;  // the undo log is the log
    auto status = db->Write(options, &batch);
    // After a full disk RocksDB takes nothing more until it is told that there is room again.
    if (!status.ok() && db->Resume().ok()) status = db->Write(options, &batch);
    return index_status(status, "write to the index");
}

Status Index::Impl::note(const UndoRecord& record, rocksdb::WriteBatch& batch) {
    events.note(record, batch);
    note_data(record, batch);
    return time.note(record, batch);
}

void Index::Impl::note_end(UndoAddress end, rocksdb::WriteBatch& batch) {
    batch.Put(indexed_key, varint(end));
}

void Index::Impl::note_count(uint64_t count, rocksdb::WriteBatch& batch) {
    batch.Put(records_key, varint(count));
}

void note_data(const UndoRecord& record, rocksdb::WriteBatch& batch) {
    for (const UndoItem& item : record.items) {
        if (item.kind != UndoKind::data && item.kind != UndoKind::hole) continue;
        for (const KeyValue& entry : data_entries(item, record.lsn)) batch.Put(entry.key, entry.value);
    }
}

void note_names(const std::vector<Index::HeldName>& names, rocksdb::WriteBatch& batch) {
    for (const auto& [object, directory, name, held] : names) {
        const std::string key = KeyWriter(IndexTable::held_name).object(object).object(directory).rest(name).bytes();
        held ? batch.Put(key, varint(0)) : batch.Delete(key);
    }
}

Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::~Index() = default;

Result<std::unique_ptr<Index>> Index::open(const std::string& directory, const UndoLog& undo) {
    auto limit = std::make_shared<PruneLimit>();
    rocksdb::DB* opened = nullptr;
    HF_TRY(index_status(rocksdb::DB::Open(index_options(limit), directory, &opened), "open the index"));
    auto impl = std::make_unique<Impl>(std::unique_ptr<rocksdb::DB>(opened), std::move(limit), undo);
    HF_TRY(impl->load());
    return std::unique_ptr<Index>(new Index(std::move(impl)));
}

UndoAddress Index::indexed_to() const {
    return impl_->indexed_to;
}

uint64_t Index::inserted_records() const {
    return impl_->records;
}

Status Index::insert(const std::vector<UndoRecord>& records, const std::vector<LocationChange>& changes,
                     const std::vector<HeldName>& names) {
    rocksdb::WriteBatch batch;
    const IndexEvents events_before = impl_->events;
    UndoAddress indexed_to = impl_->indexed_to;
    uint64_t count = impl_->records;
    auto written = [&]() -> Status {
        for (const UndoRecord& record : records) {
            HF_TRY(impl_->note(record, batch));
            // Only whole journal records move it: after a crash all parts come in again together.
            if (record.continued || record.end <= indexed_to) continue;
            indexed_to = record.end;
            ++count;
        }
        for (const auto& [object, location] : changes) {
            if (location)
                batch.Put(KeyWriter(IndexTable::location).object(object).bytes(), varint(location->mode) + varint(location->links) + location->handle);
            else
                batch.Delete(KeyWriter(IndexTable::location).object(object).bytes());
        }
        note_names(names, batch);
        if (!records.empty()) {
            impl_->note_end(indexed_to, batch);
            impl_->note_count(count, batch);
        }
        return impl_->write(batch);
    }();
    if (!written) {
        impl_->events = events_before;
        impl_->time.forget();
        return written;
    }
    impl_->indexed_to = indexed_to;
    impl_->records = count;
    return ok();
}

Status Index::flush() {
    rocksdb::FlushOptions options;
    options.wait = true;
    auto status = impl_->db->Flush(options);
    if (!status.ok() && impl_->db->Resume().ok()) status = impl_->db->Flush(options);
    return index_status(status, "flush the index");
}

Status Index::compact() {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    return index_status(impl_->db->CompactRange(options, nullptr, nullptr), "compact the index");
}

uint64_t Index::bytes_on_disk() const {
    uint64_t bytes = 0;
    impl_->db->GetIntProperty(rocksdb::DB::Properties::kLiveSstFilesSize, &bytes);
    return bytes;
}

Status Index::prune_below(Lsn lsn) {
    if (lsn <= impl_->limit->lsn) return ok();
    rocksdb::WriteBatch batch;
    batch.Put(pruned_key, varint(lsn));
    HF_TRY(impl_->write(batch));
    // Durable before the first compaction leaves anything out: after a crash an index that had lost entries but not
    // its limit would answer "unchanged since" where it no longer knows.
    HF_TRY(flush());
    impl_->limit->address = impl_->undo.begin();
    impl_->limit->lsn = lsn;
    return ok();
}

}  // namespace holdfast::rewind
