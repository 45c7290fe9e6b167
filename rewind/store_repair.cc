// A store that is made equal to another moment of its source than its journal leads to. The steps and what a crash between them leaves:
//
//   1. checkpoint; the log of the repair, empty, durable        from here on every open() applies nothing of the journal
//   2. a batch: into the log, durable; then as any batch        the log has what has to be applied again
//   3. a checkpoint now and then, and the log begins anew       its old records are passed over
//   4. position says UNTIL, durably; the log goes               in between: a repair without anything to do
#include "base/check.h"
#include "base/small_file.h"
#include "rewind/image.h"
#include "rewind/mend_image.h"
#include "rewind/read_directory.h"
#include "rewind/store_state.h"

namespace holdfast::rewind {

bool Store::is_empty() const {
    bool has_entries = false;
    for (const int fd : {impl_->image->root_fd(), impl_->image->graveyard_fd()}) {
        const Status read = read_directory(fd, [&](const DirectoryEntry&) -> Status {
            has_entries = true;
            return ok();
        });
        if (!read) return false;
    }
    return !has_entries && impl_->undo->last_lsn() == 0 && applied() == 0 && !is_repairing();
}

Status Store::begin_first_copy() {
    if (impl_->failure) return *impl_->failure;
    HF_CHECK(impl_->undo->last_lsn() == 0);
    HF_TRY(impl_->fence(replace_small_file(*impl_->store_disk, first_copy_file, "")));
    impl_->first_copy_pending = true;
    return ok();
}

bool Store::is_repairing() const {
    return impl_->repair_log != nullptr;
}

bool Store::awaits_repair() const {
    return impl_->awaits_repair;
}

Result<MendReport> Store::mend(const std::function<Status()>& step) {
    if (impl_->failure) return *impl_->failure;
    HF_TRY(impl_->applier->forget_places());
    const MendReport report = HF_TRY(mend_image(*impl_->image, *impl_->index, step));
    if (!report.is_whole()) HF_TRY(impl_->doubt_standby());
    return report;
}

bool Store::has_reached_repair() const {
    return is_repairing() && impl_->repair_log->until() == applied();
}

Status Store::begin_repair(Lsn until) {
    if (impl_->failure) return *impl_->failure;
    HF_CHECK(!first_copy_pending() && until > applied());
    HF_TRY(impl_->fence(impl_->checkpoint()));
    impl_->repair_log = HF_TRY(impl_->fence(RepairLog::begin(*impl_->store_disk, applied(), until)));
    return ok();
}

Status Store::apply_repairs(Batch& batch) {
    if (impl_->failure) return *impl_->failure;
    HF_CHECK(is_repairing());
    if (batch.empty()) return ok();
    HF_CHECK(batch.records().front().lsn >= applied());
    return impl_->fence(impl_->apply_repairs(batch));
}

Status Store::Impl::apply_repairs(Batch& batch) {
    const Lsn end = batch.records().back().end();
    HF_TRY(apply_batch(batch, end, [&] { return repair_log->append(batch); }));
    return repair_log->bytes() >= uncheckpointed_bytes_max ? checkpoint() : ok();
}

Status Store::finish_repair() {
    if (impl_->failure) return *impl_->failure;
    HF_CHECK(has_reached_repair());
    HF_TRY(impl_->fence(impl_->checkpoint()));
    HF_TRY(impl_->fence(RepairLog::remove(*impl_->store_disk)));
    impl_->repair_log.reset();
    impl_->awaits_repair = false;
    return ok();
}

}  // namespace holdfast::rewind
