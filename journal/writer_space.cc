#include <cerrno>

#include "base/check.h"
#include "base/text.h"
#include "journal/writer_impl.h"

namespace holdfast::journal {
namespace {

// The disk or the process is short of something that may come back, as opposed to a disk that is broken.
bool is_shortage(const Error& error) {
    if (error.code == ErrorCode::no_space) return true;
    return error.sys_errno == EMFILE || error.sys_errno == ENFILE || error.sys_errno == ENOMEM;
}

}  // namespace

// One spare stays back for GAP_BEGIN and its like, and one more is needed when this record begins a new segment.
size_t Writer::Impl::spares_needed_locked(uint32_t length, bool may_use_reserve) const {
    return (fits_locked(length) ? 0u : 1u) + (may_use_reserve ? 0u : 1u);
}

// Waits until the preparer has made a spare, or has found out that it cannot. The caller looks again.
Status Writer::Impl::await_spares_locked(size_t needed) {
    if (shortage_) return Error{ErrorCode::no_space, shortage_->message, shortage_->sys_errno};
    while (spares_.size() < needed && !shortage_ && !fence_) {
        spare_is_awaited_ = true;
        preparer_wake_.notify_one();
        space_changed_.wait(mutex_);
    }
    if (shortage_ && spares_.size() < needed) return Error{ErrorCode::no_space, shortage_->message, shortage_->sys_errno};
    return ok();
}

// Has the preparer begin the next segment. It is the preparer's work because a rename needs rights in the journal's
// directory, and the threads that reserve may run with those of an application.
Status Writer::Impl::await_rotation_locked() {
    is_rotation_wanted_ = true;
    rename_shortage_.reset();
    preparer_wake_.notify_one();
    while (is_rotation_wanted_ && !fence_) space_changed_.wait(mutex_);
    if (rename_shortage_) return *rename_shortage_;
    return ok();  // the caller looks again, also at the fence
}

// Begins the next segment with the oldest spare. Records that still fit the current one may be reserved while the
// file is being renamed; the seal is placed behind them.
void Writer::Impl::rotate_locked() {
    auto next = std::make_shared<OpenSegment>();
    next->index = segments_.back()->index + 1;
    mutex_.unlock();
    const Status renamed = disk_.rename(spare_name(next->index), segment_name(next->index));
    mutex_.lock();
    is_rotation_wanted_ = false;
    space_changed_.notify_all();
    if (!renamed && is_shortage(renamed.error())) {
        rename_shortage_ = Error{ErrorCode::no_space, renamed.error().message, renamed.error().sys_errno};
        return;
    }
    if (!renamed) return fence_locked(renamed.error());
    next->file = std::move(spares_.front());
    spares_.pop_front();
    push_seal_locked();
    segments_.push_back(std::move(next));
    stored_.push_back({segments_.back()->index, options_.segment_bytes});
    publish_locked();  // the seal may be the only thing that is open
    table_.wake_readers();
}

// The reserve always; the next one as soon as half of the current is used, so that an idle volume keeps two files and
// a busy one never waits for a third.
bool Writer::Impl::wants_spare_locked() const {
    if (spares_.empty()) return true;
    if (spares_.size() >= 2) return false;
    const uint64_t used = tail_ - segment_begin(segments_.back()->index, options_.segment_bytes);
    return spare_is_awaited_ || used > options_.segment_bytes / 2;
}

uint64_t Writer::Impl::used_bytes_locked() const {
    uint64_t bytes = (spares_.size() + (is_preparing_ ? 1 : 0)) * options_.segment_bytes;
    for (const StoredSegment& segment : stored_) bytes += segment.bytes;
    return bytes;
}

uint64_t Writer::Impl::used_bytes() {
    MutexLock lock(mutex_);
    return used_bytes_locked();
}

Result<std::unique_ptr<File>> Writer::Impl::make_spare(uint64_t index) {
    const std::string name = spare_name(index);
    std::unique_ptr<File> file = HF_TRY(disk_.open(name, Disk::Open::create_new));
    SegmentHeader header;
    header.volume = volume_;
    header.index = index;
    header.segment_bytes = options_.segment_bytes;
    header.term = options_.term;
    header.timeline = options_.timeline;
    header.created_ns = clock_.realtime_ns();
    // Blocks are taken now, so that a full disk is met here and not by a record.
    Status made = file->allocate(options_.segment_bytes);
    if (made) made = file->pwrite(ByteSpan(encode_segment_header(header)), 0);
    if (made) return file;
    file.reset();
    // If it cannot be removed either, the next attempt fails with `exists` and the journal is fenced by that.
    (void)disk_.remove(name);
    return std::move(made).error();
}

void Writer::Impl::prepare_spare_locked() {
    if (used_bytes_locked() + options_.segment_bytes > options_.journal_bytes_max) {
        shortage_ = Error{ErrorCode::no_space, "the journal has reached its limit of " +
                                                   human_bytes(options_.journal_bytes_max) +
                                                   " and its consumers have not taken what is in it"};
    } else {
        is_preparing_ = true;
        const uint64_t index = segments_.back()->index + 1 + spares_.size();
        mutex_.unlock();
        Result<std::unique_ptr<File>> made = make_spare(index);
        mutex_.lock();
        is_preparing_ = false;
        if (made) {
            spares_.push_back(std::move(made).value());
            spare_is_awaited_ = false;
            shortage_.reset();
        } else if (is_shortage(made.error())) {
            shortage_ = made.error();
        } else {
            fence_locked(made.error());
        }
    }
    space_changed_.notify_all();
}

void Writer::Impl::prepare_spares() {
    MutexLock lock(mutex_);
    while (!is_stopping_ && !fence_) {
        if (is_rotation_wanted_) {
            if (spares_.empty()) is_rotation_wanted_ = false;  // others were faster: they look again
            else rotate_locked();
            space_changed_.notify_all();
        } else if (wants_spare_locked() && !shortage_) {
            prepare_spare_locked();
        } else if (shortage_ || rename_shortage_) {
            wait_out_shortage_locked();
        } else {
            preparer_wake_.wait(mutex_);
        }
    }
}

// A shortage is looked at again when a segment is released, and now and then, because others use the disk too.
void Writer::Impl::wait_out_shortage_locked() {
    preparer_wake_.wait_for(mutex_, std::chrono::milliseconds(options_.sync_interval_ms));
    if (is_stopping_ || is_rotation_wanted_) return;
    rename_shortage_.reset();
    if (shortage_ && wants_spare_locked()) prepare_spare_locked();
    space_changed_.notify_all();
}

bool Writer::Impl::has_space_locked(uint32_t length) const {
    if (entries_.size() >= open_tickets_max || spares_.size() < spares_needed_locked(length, false)) return false;
    return fits_locked(length) || !rename_shortage_;
}

bool Writer::Impl::wait_for_space(uint32_t length, uint32_t timeout_ms) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    MutexLock lock(mutex_);
    for (;;) {
        if (fence_) return false;
        if (has_space_locked(length)) return true;
        spare_is_awaited_ = true;
        if (!shortage_) preparer_wake_.notify_one();
        const auto now = std::chrono::steady_clock::now();
        if (now >= deadline) return false;
        space_changed_.wait_for(mutex_, deadline - now);
    }
}

Status Writer::Impl::release_below(Lsn lsn) {
    MutexLock one_at_a_time(release_mutex_);
    for (;;) {
        uint64_t index;
        {
            MutexLock lock(mutex_);
            if (fence_) return fence_error_locked();
            if (stored_.empty()) return ok();
            index = stored_.front().index;
            const Lsn end = segment_end(index, options_.segment_bytes);
            // `durable` beyond its end proves that a later segment has its name and a record on disk.
            if (index + 1 >= segments_.back()->index || end > lsn || end >= durable_) return ok();
        }
        const Status removed = disk_.remove(segment_name(index));
        if (!removed && removed.error().code != ErrorCode::not_found) return removed;
        // One after the other: were two removals to reach the disk in the wrong order, a power cut could leave a
        // journal with a segment missing in its middle.
        HF_TRY(disk_.sync_directory());
        MutexLock lock(mutex_);
        stored_.pop_front();
        preparer_wake_.notify_one();
    }
}

}  // namespace holdfast::journal
