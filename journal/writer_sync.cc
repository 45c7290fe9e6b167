#include "base/check.h"
#include "journal/writer_impl.h"

namespace holdfast::journal {

Status Writer::Impl::sync(Lsn below) {
    MutexLock lock(mutex_);
    below = std::min(below, tail_);
    for (;;) {
        // What is durable stays so, even when the journal failed since.
        if (durable_ >= below) return ok();
        if (fence_) return fence_error_locked();
        if (published_ < below) {
            // Others are still writing below: theirs are the addresses without which ours could not be read back.
            ++publication_waiters_;
            published_changed_.wait(mutex_);
            --publication_waiters_;
        } else if (is_syncing_) {
            sync_ended_.wait(mutex_);
        } else {
            run_sync_locked();  // for everybody who waits
        }
    }
}

void Writer::Impl::run_sync_locked() {
    HF_CHECK(!is_syncing_);
    is_syncing_ = true;
    const Lsn target = published_;
    std::vector<std::shared_ptr<OpenSegment>> segments;
    for (const auto& segment : segments_) {
        if (segment_begin(segment->index, options_.segment_bytes) < target) segments.push_back(segment);
    }
    mutex_.unlock();
    const Status synced = sync_segments(segments, target);
    mutex_.lock();
    is_syncing_ = false;
    if (synced) {
        durable_ = target;
        table_.head().durable.store(target);
        while (segments_.size() > 1 && segment_end(segments_.front()->index, options_.segment_bytes) <= target) {
            const OpenSegment& done = *segments_.front();
            for (StoredSegment& stored : stored_) {
                if (stored.index == done.index) stored.bytes = done.seal % options_.segment_bytes + HF_SEGMENT_END_BYTES;
            }
            segments_.pop_front();
        }
    } else {
        fence_locked(synced.error());
    }
    sync_ended_.notify_all();
}

// Everything below TARGET was written before this is called, so what the disk takes now contains it.
//
// A file is cut behind its seal only after all of it is on the disk. Recovery takes a sealed segment that is not the last by
// its seal and does not read it. Were the file cut first and the power lost before the sync, the disk might have taken the
// seal and not what stands before it, and the hole would be found by a consumer, in the middle of a journal called whole.
Status Writer::Impl::sync_segments(const std::vector<std::shared_ptr<OpenSegment>>& segments, Lsn target) {
    bool all_names_are_durable = true;
    for (const auto& segment : segments) {
        HF_TRY(segment->file->sync());
        if (segment_end(segment->index, options_.segment_bytes) <= target && !segment->is_cut) {
            HF_TRY(segment->file->truncate(segment->seal % options_.segment_bytes + HF_SEGMENT_END_BYTES));
            segment->is_cut = true;
        }
        all_names_are_durable &= segment->name_is_durable;
    }
    if (all_names_are_durable) return ok();
    HF_TRY(disk_.sync_directory());
    for (const auto& segment : segments) segment->name_is_durable = true;
    return ok();
}

void Writer::Impl::sync_in_background() {
    MutexLock lock(mutex_);
    while (!is_stopping_ && !fence_) {
        syncer_wake_.wait_for(mutex_, std::chrono::milliseconds(options_.sync_interval_ms));
        if (!is_stopping_ && !fence_ && !is_syncing_ && published_ > durable_) run_sync_locked();
    }
}

}  // namespace holdfast::journal
