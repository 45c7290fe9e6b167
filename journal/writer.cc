#include "journal/writer.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "journal/writer_impl.h"

namespace holdfast::journal {
namespace {

// What must be said when nothing else may be written; see the limits in writer.h.
bool may_use_reserve(hf_record_type type) {
    return type == HF_GAP_BEGIN || type == HF_SESSION_OPEN || type == HF_SESSION_CLOSE;
}

}  // namespace

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::~Writer() = default;

Result<Writer::Ticket> Writer::reserve(uint32_t length) {
    return impl_->reserve(length, false);
}

Status Writer::commit(const Ticket& ticket, const Record& record) {
    Record stamped = record;
    stamped.lsn = ticket.lsn;
    stamped.time_ns = ticket.time_ns;
    return impl_->write(ticket, EncodedRecord(stamped, ticket.length));
}

Status Writer::abandon(const Ticket& ticket) {
    return commit(ticket, Record{});
}

Result<Lsn> Writer::append(const Record& record) {
    const Ticket ticket = HF_TRY(impl_->reserve(encoded_length(record.body), may_use_reserve(record.type)));
    HF_TRY(commit(ticket, record));
    return ticket.lsn;
}

Lsn Writer::published() const {
    return impl_->table().head().published.load();
}
Lsn Writer::durable() const {
    return impl_->table().head().durable.load();
}
Lsn Writer::reserved() const {
    return impl_->table().head().reserved.load();
}
Status Writer::sync(Lsn below) {
    return impl_->sync(below);
}
bool Writer::is_fenced() const {
    return impl_->is_fenced();
}
bool Writer::wait_for_space(uint32_t length, uint32_t timeout_ms) {
    return impl_->wait_for_space(length, timeout_ms);
}
Status Writer::release_below(Lsn lsn) {
    return impl_->release_below(lsn);
}
uint64_t Writer::used_bytes() const {
    return impl_->used_bytes();
}

Result<Writer::Ticket> Writer::Impl::reserve(uint32_t length, bool may_use_reserve) {
    HF_CHECK(length % HF_RECORD_ALIGNMENT == 0);
    HF_CHECK(length >= sizeof(hf_record_header) && length <= HF_RECORD_BYTES_MAX);
    MutexLock lock(mutex_);
    for (;;) {
        if (fence_) return fence_error_locked();
        if (entries_.size() >= open_tickets_max)
            return Error{ErrorCode::no_space, std::to_string(entries_.size()) +
                                                  " journal records wait for an operation before them that does not end"};
        const size_t needed = spares_needed_locked(length, may_use_reserve);
        if (spares_.size() < needed) {
            HF_TRY(await_spares_locked(needed));  // the lock was given up: look at everything again
        } else if (fits_locked(length)) {
            return take_locked(length);
        } else {
            HF_TRY(await_rotation_locked());  // likewise
        }
    }
}

// The tail at a segment's very beginning stands for the address behind its header.
bool Writer::Impl::fits_locked(uint32_t length) const {
    const uint64_t place = std::max<uint64_t>(tail_ - segment_begin(segments_.back()->index, options_.segment_bytes),
                                              HF_SEGMENT_HEADER_BYTES);
    return place + length + HF_SEGMENT_END_BYTES <= options_.segment_bytes;
}

Writer::Ticket Writer::Impl::take_locked(uint32_t length) {
    OpenSegment& segment = *segments_.back();
    Ticket ticket;
    ticket.lsn = std::max(tail_, segment_first_record(segment.index, options_.segment_bytes));
    ticket.length = length;
    ticket.serial = first_serial_ + entries_.size();
    ticket.time_ns = clock_.realtime_ns();
    ticket.segment = segment.file.get();
    entries_.push_back({ticket.lsn, length, false});
    tail_ = ticket.lsn + length;
    table_.head().reserved.store(tail_);
    if (!is_preparing_ && !shortage_ && wants_spare_locked()) preparer_wake_.notify_one();
    return ticket;
}

Status Writer::Impl::write(const Ticket& ticket, const EncodedRecord& record) {
    // The segment lives as long as the ticket is open: it is let go when `durable` passes it.
    const Status written =
        is_fenced() ? ok() : ticket.segment->pwrite(record.pieces(), ticket.lsn % options_.segment_bytes);
    {
        MutexLock lock(mutex_);
        if (!written) fence_locked(written.error());
        if (fence_) return fence_error_locked();
        HF_CHECK(ticket.serial >= first_serial_ && ticket.serial - first_serial_ < entries_.size());
        Entry& entry = entries_[ticket.serial - first_serial_];
        HF_CHECK(entry.lsn == ticket.lsn && !entry.is_seal && !entry.is_done);
        entry.checksum = record.checksum();
        entry.is_done = true;
        publish_locked();
        await_seal_locked(ticket.lsn + ticket.length);
        if (fence_) return fence_error_locked();
    }
    table_.wake_readers();
    return ok();
}

// Moves `published` over everything that is finished. Whoever finds a seal at the front writes it. Waking the
// readers is left to the caller, who does it without the lock.
void Writer::Impl::publish_locked() {
    const Lsn before = published_;
    while (!entries_.empty() && !fence_) {
        Entry& front = entries_.front();
        if (front.is_seal && !front.is_done && !front.is_being_sealed) seal_front_locked();
        // `front` may be stale here: the lock was given up while sealing.
        if (fence_ || entries_.empty() || !entries_.front().is_done) break;
        const Entry done = entries_.front();
        if (done.is_seal) chain_ = ChainHash(chain_.after());
        else chain_.add(done.checksum);
        published_ = done.lsn + done.length;
        entries_.pop_front();
        ++first_serial_;
    }
    if (published_ == before) return;
    if (!is_stamped_) table_.stamp_boot();
    is_stamped_ = true;
    table_.head().published.store(published_);
    if (publication_waiters_ != 0) published_changed_.notify_all();
}

// Writes SEGMENT_END, which needs the checksums of all records before it and therefore stands at the front now.
void Writer::Impl::seal_front_locked() {
    Entry& entry = entries_.front();
    entry.is_being_sealed = true;
    const Lsn lsn = entry.lsn;
    const uint64_t index = segment_of(lsn, options_.segment_bytes);
    std::shared_ptr<OpenSegment> segment;
    for (const auto& candidate : segments_) {
        if (candidate->index == index) segment = candidate;
    }
    HF_CHECK(segment);
    const EncodedRecord seal(seal_record(chain_, lsn, clock_.realtime_ns()), entry.length);

    mutex_.unlock();
    const Status written = segment->file->pwrite(seal.pieces(), lsn % options_.segment_bytes);
    mutex_.lock();
    if (!written) return fence_locked(written.error());
    segment->seal = lsn;
    // It could not leave the front meanwhile, because it was not done.
    entries_.front().is_done = true;
}

// When all that keeps END from being published is a seal that another thread is writing, its end is waited for: what
// was committed can be read at once, and a seal that fails is not found out behind the caller's back.
void Writer::Impl::await_seal_locked(Lsn end) {
    while (!fence_ && published_ < end && entries_.front().is_being_sealed) {
        ++publication_waiters_;
        published_changed_.wait(mutex_);
        --publication_waiters_;
    }
}

void Writer::Impl::push_seal_locked() {
    const OpenSegment& current = *segments_.back();
    const Lsn lsn = std::max(tail_, segment_first_record(current.index, options_.segment_bytes));
    const Lsn end = segment_end(current.index, options_.segment_bytes);
    entries_.push_back({lsn, static_cast<uint32_t>(end - lsn), true});
    tail_ = end;
    table_.head().reserved.store(tail_);
}

void Writer::Impl::fence_locked(const Error& error) {
    if (fence_) return;
    fence_ = error;
    fenced_.store(true);
    log_error("The journal failed and is fenced: nothing more is recorded in it until it is opened again. " +
              error.message + ".");
    published_changed_.notify_all();
    sync_ended_.notify_all();
    space_changed_.notify_all();
}

Error Writer::Impl::fence_error_locked() const {
    return {ErrorCode::io, "the journal is fenced since an earlier failure: " + fence_->message, fence_->sys_errno};
}

}  // namespace holdfast::journal
