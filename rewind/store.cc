#include "rewind/store.h"

#include <unistd.h>

#include "base/check.h"
#include "journal/cursor.h"
#include "journal/segment_walk.h"
#include "rewind/apply/change_data.h"
#include "rewind/baseline_sink.h"
#include "rewind/store_state.h"

namespace holdfast::rewind {

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

// Records that are applied again lie below the journal's durable end, wherever its writer is now: recovery reads them with
// a reader of its own, which needs no in-flight table. After a reboot that table knows nothing.
Result<std::unique_ptr<Store>> Store::open(const journal::Volume& volume, journal::Reader&, const Clock& clock, Opening opening) {
    auto impl = std::make_unique<Impl>(volume, clock);
    impl->awaits_repair = opening == Opening::as_it_is;
    HF_TRY(impl->open());
    return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<uint64_t> Store::apply(journal::Reader& reader, uint64_t bytes, uint64_t until_ns) {
    if (impl_->failure) return *impl_->failure;
    if (impl_->first_copy_pending || impl_->repair_log || impl_->awaits_repair) return uint64_t{0};
    if (reader.position() != applied()) reader.seek(applied());
    Batch batch;
    // A journal that cannot be read is no failure of the store: nothing of it has changed.
    HF_TRY(impl_->fill(reader, std::min(bytes, batch_bytes_max), until_ns, batch));
    const Lsn from = applied();
    HF_TRY(impl_->fence(impl_->apply_batch(batch, reader.position(), [&] { return reader.sync(); })));
    impl_->note_chains(from);
    return batch.bytes();
}

// Of the segments that ended between FROM and what is applied now. One whose seal cannot be read is left out.
void Store::Impl::note_chains(Lsn from) {
    for (uint64_t index = journal::segment_of(from, volume.segment_bytes); index < journal::segment_of(applied, volume.segment_bytes); ++index) {
        const auto file = journal_disk->open(journal::segment_name(index), Disk::Open::existing_read_only);
        const auto seal = file ? journal::find_seal(**file, index, volume.segment_bytes) : Result<std::optional<journal::SegmentEnd>>(file.error());
        if (seal && *seal) chains.add({journal::segment_end(index, volume.segment_bytes), (*seal)->chain_after});
    }
}

Status Store::skip_to(Lsn at) {
    if (impl_->failure) return *impl_->failure;
    HF_CHECK(at >= applied());
    impl_->applied = at;
    return ok();
}

Status Store::Impl::apply_batch(Batch& batch, Lsn end, const std::function<Status()>& sync) {
    if (!batch.empty()) {
        // Records are read as soon as they are published, which is before they are durable. Did the undo log keep one
        // and then the power fail, the journal might come back shorter than the store, and new records would get
        // addresses that the store knows already.
        HF_TRY(sync());
        HF_TRY(applier->apply(batch));
        for (const Record& record : batch.records()) {
            if (record.type != HF_GAP_BEGIN && record.type != HF_GAP_END) continue;
            const auto& gap = record.as<journal::Gap>();
            if (gap.begin) gaps.begin(gap.reason, record.lsn);
            if (!gap.begin) gaps.end(gap.reason, record.end());
        }
    }
    applied = end;  // past filler as well
    uncheckpointed_bytes += batch.bytes();
    uncheckpointed_records += batch.records().size();
    if (uncheckpointed_bytes >= uncheckpointed_bytes_max || uncheckpointed_records >= uncheckpointed_records_max)
        HF_TRY(checkpoint());
    return ok();
}

// A record that moves bytes within a file is a batch of its own: its undo is read straight from the image.
Status Store::Impl::fill(journal::Reader& reader, uint64_t bytes, uint64_t until_ns, Batch& batch) {
    while (batch.bytes() < bytes && batch.records().size() < batch_records_max) {
        auto next = reader.next();
        // What was read before the damage is whole; the next batch meets the error with an empty hand.
        if (!next && !batch.empty()) {
            reader.seek(batch.records().back().end());
            return ok();
        }
        const auto record = HF_TRY(std::move(next));
        if (!record) return ok();
        const bool shifts = is_shift(*record);
        if (record->time_ns > until_ns || (shifts && !batch.empty())) {
            reader.seek(record->lsn);
            return ok();
        }
        batch.add(*record);
        if (shifts) return ok();
    }
    return ok();
}

Result<Lsn> Store::checkpoint() {
    if (impl_->failure) return *impl_->failure;
    if (impl_->first_copy_pending) return applied();
    HF_TRY(impl_->fence(impl_->checkpoint()));
    return applied();
}

// The image first: the position promises what it says. The index before the position as well, because the locations of
// objects are not in the undo log and are set again only from the checkpoint on.
Status Store::Impl::checkpoint() {
    const Lsn at = applied;
    if (::syncfs(image->root_fd()) != 0) return errno_error(errno, "sync the image");
    HF_TRY(undo->sync());
    HF_TRY(index->flush());
    HF_TRY(chains.save(*store_disk, window_begin));
    HF_TRY(save(at));
    if (repair_log) HF_TRY(repair_log->restart(at));
    uncheckpointed_bytes = 0;
    uncheckpointed_records = 0;
    return ok();
}

Status Store::Impl::save(Lsn at_checkpoint) {
    Position next = position;
    next.checkpoint = at_checkpoint;
    next.undo_end = undo->end();
    next.window_begin = window_begin;
    next.open_gaps = gaps.open_at(window_begin);
    if (!gaps.is_open(HF_GAP_JOURNAL_DAMAGED)) next.damaged_from = 0;  // repaired
    HF_TRY(save_position(*store_disk, volume.id, next));
    position = next;
    // Only now may the journal forget what lies below.
    return journal::save_cursor(*cursor_disk, volume.id, journal::store_consumer, at_checkpoint);
}

Result<uint64_t> Store::prune() {
    if (impl_->failure) return *impl_->failure;
    if (impl_->first_copy_pending) return uint64_t{0};
    return impl_->fence(impl_->prune());
}

Status Store::compact() {
    return impl_->index->compact();
}

bool Store::first_copy_pending() const {
    return impl_->first_copy_pending;
}

std::unique_ptr<BaselineSink> Store::baseline() {
    HF_CHECK(first_copy_pending());
    return std::make_unique<BaselineSink>(*impl_->image, *impl_->index);
}

// The mark of the pending copy goes last: after a crash before that, the copy is continued and finished once more.
Status Store::finish_first_copy(Lsn at) {
    HF_CHECK(first_copy_pending());
    HF_TRY(impl_->doubt_standby());
    impl_->applied = at;
    impl_->window_begin = at;
    HF_TRY(impl_->fence(impl_->checkpoint()));
    HF_TRY(impl_->fence(impl_->store_disk->remove(first_copy_file)));
    HF_TRY(impl_->fence(impl_->store_disk->sync_directory()));
    impl_->first_copy_pending = false;
    return ok();
}

Lsn Store::applied() const {
    return impl_->applied;
}

Lsn Store::window_begin() const {
    return impl_->window_begin;
}

uint64_t Store::graveyard_bytes() const {
    return impl_->graveyard_bytes;
}

const std::string& Store::evidence() const {
    return impl_->evidence;
}

Status Store::check_moment(Lsn at) const {
    if (first_copy_pending())
        return Error{ErrorCode::not_found, "the first copy of this volume is not complete yet, so it has no history to offer"};
    const Lsn oldest = window_begin(), newest = applied();
    if (at < oldest)
        return Error{ErrorCode::not_found, "lsn " + std::to_string(at) + " lies before the window of history, which begins at lsn:" +
                                               std::to_string(oldest)};
    if (at > newest)
        return Error{ErrorCode::not_found, "lsn " + std::to_string(at) + " has not been taken into history yet; the newest moment is lsn:" +
                                               std::to_string(newest)};
    return impl_->gaps.check(at);
}

const Image& Store::image() const {
    return *impl_->image;
}

const UndoLog& Store::undo_log() const {
    return *impl_->undo;
}

std::vector<ChainPoint> Store::chains() const {
    return impl_->chains.points();
}

const Index& Store::index() const {
    return *impl_->index;
}

}  // namespace holdfast::rewind
