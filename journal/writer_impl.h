// The inside of the writer. Private to journal/writer*.cc; the contract is that of journal/writer.h.
//
// One mutex guards everything that has an order: the tail, the open tickets, the published and the durable address, the
// segments. It is held for a few dozen instructions and never during I/O: copying, sealing, renaming, allocating and
// syncing happen outside, marked by a flag where a second thread must not do the same.
//
// Invariants
//   durable <= published <= the address of the oldest open ticket <= tail
//   entries_ holds every reserved range between published and tail, without a hole, in order
//   chain_ has taken the checksum of every record of the segment that holds `published`
//   the spares are numbered current + 1, current + 2, ...: taking one and beginning the next keeps that true
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "journal/segment.h"
#include "journal/writer.h"

namespace holdfast::journal {

// A segment file that this process writes, or has written and not yet made durable.
struct OpenSegment {
    uint64_t index = 0;
    std::unique_ptr<File> file;
    bool name_is_durable = false;  // owned by whoever runs the sync
    Lsn seal = 0;                  // address of SEGMENT_END once there is one
    bool is_cut = false;
};

class Writer::Impl {
public:
    Impl(Disk& disk, InflightTable& table, const Clock& clock, const VolumeId& volume, const WriterOptions& options);
    ~Impl();

    Status start(const StreamEnd& end);
    Result<Ticket> reserve(uint32_t length, bool may_use_reserve) HF_EXCLUDES(mutex_);
    Status write(const Ticket& ticket, const EncodedRecord& record) HF_EXCLUDES(mutex_);
    Status sync(Lsn below) HF_EXCLUDES(mutex_);
    bool wait_for_space(uint32_t length, uint32_t timeout_ms) HF_EXCLUDES(mutex_);
    Status release_below(Lsn lsn) HF_EXCLUDES(release_mutex_, mutex_);
    uint64_t used_bytes() HF_EXCLUDES(mutex_);

    InflightTable& table() { return table_; }
    bool is_fenced() const { return fenced_.load(); }

private:
    struct Entry {
        Lsn lsn;
        uint32_t length;
        bool is_seal;
        bool is_done = false;
        bool is_being_sealed = false;
        uint64_t checksum = 0;
    };
    struct StoredSegment {
        uint64_t index;
        uint64_t bytes;
    };

    // writer.cc: the stream.
    bool fits_locked(uint32_t length) const HF_REQUIRES(mutex_);
    Ticket take_locked(uint32_t length) HF_REQUIRES(mutex_);
    void publish_locked() HF_REQUIRES(mutex_);
    void seal_front_locked() HF_REQUIRES(mutex_);
    void await_seal_locked(Lsn end) HF_REQUIRES(mutex_);
    void push_seal_locked() HF_REQUIRES(mutex_);
    void fence_locked(const Error& error) HF_REQUIRES(mutex_);
    Error fence_error_locked() const HF_REQUIRES(mutex_);

    // writer_space.cc: segments to come, segments to go.
    size_t spares_needed_locked(uint32_t length, bool may_use_reserve) const HF_REQUIRES(mutex_);
    Status await_spares_locked(size_t needed) HF_REQUIRES(mutex_);
    Status await_rotation_locked() HF_REQUIRES(mutex_);
    void rotate_locked() HF_REQUIRES(mutex_);
    void wait_out_shortage_locked() HF_REQUIRES(mutex_);
    bool wants_spare_locked() const HF_REQUIRES(mutex_);
    bool has_space_locked(uint32_t length) const HF_REQUIRES(mutex_);
    uint64_t used_bytes_locked() const HF_REQUIRES(mutex_);
    void prepare_spare_locked() HF_REQUIRES(mutex_);
    Result<std::unique_ptr<File>> make_spare(uint64_t index) HF_EXCLUDES(mutex_);
    void prepare_spares() HF_EXCLUDES(mutex_);  // a thread's body

    // writer_sync.cc: what is durable.
    void run_sync_locked() HF_REQUIRES(mutex_);
    Status sync_segments(const std::vector<std::shared_ptr<OpenSegment>>& segments, Lsn target) HF_EXCLUDES(mutex_);
    void sync_in_background() HF_EXCLUDES(mutex_);  // a thread's body

    // writer_open.cc: the beginning and the end.
    Status survey_directory(const StreamEnd& end) HF_EXCLUDES(mutex_);
    Result<bool> adopt_spare(const std::string& name, uint64_t next_segment) HF_EXCLUDES(mutex_);
    Status adopt_unsynced(const StreamEnd& end) HF_EXCLUDES(mutex_);
    Result<std::unique_ptr<File>> adopted_or_made_spare(uint64_t index, std::unique_ptr<File> adopted) HF_EXCLUDES(mutex_);
    void close() HF_EXCLUDES(mutex_);
    void stop_threads() HF_EXCLUDES(mutex_);

    Disk& disk_;
    InflightTable& table_;
    const Clock& clock_;
    const VolumeId volume_;
    const WriterOptions options_;

    // Lock order: release_mutex_ before mutex_.
    Mutex release_mutex_;  // one release at a time
    Mutex mutex_;
    Lsn tail_ HF_GUARDED_BY(mutex_) = 0;
    Lsn published_ HF_GUARDED_BY(mutex_) = 0;
    Lsn durable_ HF_GUARDED_BY(mutex_) = 0;
    std::deque<Entry> entries_ HF_GUARDED_BY(mutex_);
    uint64_t first_serial_ HF_GUARDED_BY(mutex_) = 0;  // of entries_.front()
    ChainHash chain_ HF_GUARDED_BY(mutex_){ChainHash::Value{}};
    bool is_stamped_ HF_GUARDED_BY(mutex_) = false;
    std::optional<Error> fence_ HF_GUARDED_BY(mutex_);

    std::array<std::unique_ptr<File>, 2> adopted_;  // by a predecessor, for the first segment and the reserve; used by start()

    // The newest is the current one; the oldest is the one that holds `durable`.
    std::deque<std::shared_ptr<OpenSegment>> segments_ HF_GUARDED_BY(mutex_);
    std::deque<std::unique_ptr<File>> spares_ HF_GUARDED_BY(mutex_);
    std::deque<StoredSegment> stored_ HF_GUARDED_BY(mutex_);  // every segment on disk but the spares
    bool is_rotation_wanted_ HF_GUARDED_BY(mutex_) = false;
    bool is_preparing_ HF_GUARDED_BY(mutex_) = false;
    bool spare_is_awaited_ HF_GUARDED_BY(mutex_) = false;
    std::optional<Error> shortage_ HF_GUARDED_BY(mutex_);  // why the last spare could not be made
    std::optional<Error> rename_shortage_ HF_GUARDED_BY(mutex_);  // why the last spare could not become a segment

    bool is_syncing_ HF_GUARDED_BY(mutex_) = false;
    size_t publication_waiters_ HF_GUARDED_BY(mutex_) = 0;
    bool is_stopping_ HF_GUARDED_BY(mutex_) = false;

    ConditionVariable published_changed_;
    ConditionVariable sync_ended_;
    ConditionVariable space_changed_;  // a spare came, a segment went, a rotation ended, or there is a shortage now
    ConditionVariable preparer_wake_;
    ConditionVariable syncer_wake_;

    std::atomic<bool> fenced_{false};
    std::thread preparer_;
    std::thread syncer_;
};

}  // namespace holdfast::journal
