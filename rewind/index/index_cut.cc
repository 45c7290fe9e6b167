// The end of history is taken away: the index forgets what the newest undo records said.
//
// Nearly every key is made of a record alone, so what a record put in is found by putting it in once more and deleting
// what comes out. What is not, because it stands for many records, is written anew: who holds which name, and times.
#include "rewind/index/index_data.h"
#include "rewind/index/index_impl.h"

namespace holdfast::rewind {

namespace {

constexpr size_t batch_bytes = 4 << 20;

// Deletes in TARGET every key that a batch touches.
class Deleter final : public rocksdb::WriteBatch::Handler {
public:
    explicit Deleter(rocksdb::WriteBatch& target) : target_(target) {}
    void Put(const rocksdb::Slice& key, const rocksdb::Slice&) override { target_.Delete(key); }
    void Delete(const rocksdb::Slice& key) override { target_.Delete(key); }

private:
    rocksdb::WriteBatch& target_;
};

}  // namespace

// The address comes first: whatever part of the rest a crash leaves on the disk, the next open() puts the records in again
// that are still in the log, and the cut is repeated.
Status Index::cut(UndoAddress at, Lsn lsn, const std::vector<HeldName>& names) {
    rocksdb::WriteBatch batch;
    Deleter deleter(batch);
    IndexEvents events;
    uint64_t count = 0;
    impl_->note_end(at, batch);
    Status written = ok();
    HF_TRY(impl_->undo.scan(at, [&](const UndoRecord& record) {
        rocksdb::WriteBatch said;
        events.note(record, said);
        note_data(record, said);
        written = index_status(said.Iterate(&deleter), "read what a record said");
        count += !record.continued;
        if (!written || batch.GetDataSize() < batch_bytes) return written.has_value();
        written = impl_->write(batch);
        batch.Clear();
        return written.has_value();
    }));
    HF_TRY(std::move(written));
    note_names(names, batch);
    HF_TRY(impl_->time.cut(at, lsn, batch));
    impl_->note_count(impl_->records - std::min<uint64_t>(count, impl_->records), batch);
    HF_TRY(impl_->write(batch));
    HF_TRY(flush());
    impl_->events = IndexEvents();
    return impl_->load();
}

}  // namespace holdfast::rewind
