#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "journal/writer_impl.h"

namespace holdfast::journal {
namespace {

Status check_options(const WriterOptions& options) {
    if (!is_segment_size(options.segment_bytes))
        return Error{ErrorCode::invalid_argument, std::to_string(options.segment_bytes) +
                                                      " is not a segment size: a power of two from 2 MiB to 1 GiB"};
    if (options.journal_bytes_max / options.segment_bytes < journal_segments_min)
        return Error{ErrorCode::invalid_argument, "a journal needs room for at least " +
                                                      std::to_string(journal_segments_min) + " segments, " +
                                                      std::to_string(journal_segments_min * options.segment_bytes) +
                                                      " bytes; its limit is " + std::to_string(options.journal_bytes_max)};
    if (options.sync_interval_ms == 0)
        return Error{ErrorCode::invalid_argument, "the journal cannot be synced every 0 milliseconds"};
    return ok();
}

}  // namespace

Result<std::unique_ptr<Writer>> Writer::open(Disk& disk, InflightTable& table, const Clock& clock,
                                             const VolumeId& volume, const StreamEnd& end,
                                             const WriterOptions& options) {
    HF_TRY(check_options(options));
    auto impl = std::make_unique<Impl>(disk, table, clock, volume, options);
    HF_TRY(impl->start(end));
    return std::unique_ptr<Writer>(new Writer(std::move(impl)));
}

Writer::Impl::Impl(Disk& disk, InflightTable& table, const Clock& clock, const VolumeId& volume,
                   const WriterOptions& options)
    : disk_(disk), table_(table), clock_(clock), volume_(volume), options_(options) {}

// Counts what is there, and removes what a predecessor had prepared and never used.
Status Writer::Impl::survey_directory(const StreamEnd& end) {
    for (const std::string& name : HF_TRY(disk_.list())) {
        if (is_spare_name(name)) HF_TRY(disk_.remove(name));
        const auto index = parse_segment_name(name);
        if (!index) continue;
        if (*index >= end.next_segment)
            return Error{ErrorCode::corrupt, "the journal was to go on with segment " + segment_name(end.next_segment) +
                                                 ", but " + name + " is there; it needs recovery first"};
        const auto file = HF_TRY(disk_.open(name, Disk::Open::existing_read_only));
        const uint64_t bytes = HF_TRY(file->size());
        MutexLock lock(mutex_);
        stored_.push_back({*index, bytes});
    }
    return ok();
}

Status Writer::Impl::start(const StreamEnd& end) {
    HF_TRY(survey_directory(end));
    auto first = std::make_shared<OpenSegment>();
    first->index = end.next_segment;
    first->file = HF_TRY(make_spare(end.next_segment));
    HF_TRY(disk_.rename(spare_name(end.next_segment), segment_name(end.next_segment)));
    HF_TRY(first->file->sync());
    HF_TRY(disk_.sync_directory());
    first->name_is_durable = true;
    Result<std::unique_ptr<File>> reserve = make_spare(end.next_segment + 1);
    if (!reserve) {
        // The segment is empty. Without it the attempt can be repeated as soon as the disk has space.
        (void)disk_.remove(segment_name(end.next_segment));
        return std::move(reserve).error();
    }

    MutexLock lock(mutex_);
    chain_ = ChainHash(end.chain);
    tail_ = published_ = durable_ = segment_begin(end.next_segment, options_.segment_bytes);
    segments_.push_back(std::move(first));
    stored_.push_back({end.next_segment, options_.segment_bytes});
    spares_.push_back(std::move(reserve).value());
    SharedHead& head = table_.head();
    head.clean.store(0);
    head.published.store(published_);
    head.durable.store(durable_);
    head.reserved.store(tail_);
    table_.wake_readers();
    preparer_ = std::thread([this] { prepare_spares(); });
    syncer_ = std::thread([this] { sync_in_background(); });
    return ok();
}

void Writer::Impl::stop_threads() {
    {
        MutexLock lock(mutex_);
        is_stopping_ = true;
        preparer_wake_.notify_all();
        syncer_wake_.notify_all();
    }
    if (preparer_.joinable()) preparer_.join();
    if (syncer_.joinable()) syncer_.join();
}

Writer::Impl::~Impl() {
    const bool was_started = preparer_.joinable();
    stop_threads();
    if (was_started) close();
}

// The end in order. Whatever fails here leaves `clean` unset, and the next start looks closely.
void Writer::Impl::close() {
    Lsn end;
    {
        MutexLock lock(mutex_);
        if (fence_) return;
        HF_CHECK(entries_.empty());
        push_seal_locked();
        publish_locked();
        end = tail_;
    }
    if (const Status synced = sync(end); !synced) return;
    MutexLock lock(mutex_);
    for (size_t i = 0; i < spares_.size(); ++i) {
        // One that stays behind is removed by the next open.
        (void)disk_.remove(spare_name(segments_.back()->index + 1 + i));
    }
    table_.head().clean.store(1);
}

}  // namespace holdfast::journal
