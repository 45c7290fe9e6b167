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

// Counts what is there, takes over what a predecessor had prepared for the same places, and removes what else it had.
Status Writer::Impl::survey_directory(const StreamEnd& end) {
    for (const std::string& name : HF_TRY(disk_.list())) {
        if (is_spare_name(name) && !HF_TRY(adopt_spare(name, end.next_segment))) HF_TRY(disk_.remove(name));
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

// A spare as this writer would make it, whose making ended. Allocating takes long on a busy disk, and after a crash
// applications wait for it. Nothing was ever written behind its header, because a spare is renamed before it is used.
Result<bool> Writer::Impl::adopt_spare(const std::string& name, uint64_t next_segment) {
    for (size_t place = 0; place < adopted_.size(); ++place) {
        const uint64_t index = next_segment + place;
        if (name != spare_name(index)) continue;
        auto file = HF_TRY(disk_.open(name, Disk::Open::existing));
        std::vector<std::byte> bytes(HF_SEGMENT_HEADER_BYTES);
        bytes.resize(HF_TRY(file->pread(bytes, 0)));
        const auto header = decode_segment_header(bytes, volume_, options_.segment_bytes, index);
        const bool fits = header && header->term == options_.term && header->timeline == options_.timeline;
        if (!fits || HF_TRY(file->size()) != options_.segment_bytes) return false;
        adopted_[place] = std::move(file);
        return true;
    }
    return false;
}

// What was written before and is not on the disk yet goes with the next sync, which also cuts what nobody came to cut.
Status Writer::Impl::adopt_unsynced(const StreamEnd& end) {
    const Lsn begin = segment_begin(end.next_segment, options_.segment_bytes);
    MutexLock lock(mutex_);
    durable_ = std::min(end.durable, begin);
    for (const StoredSegment& stored : stored_) {
        const auto uncut = std::find_if(end.uncut.begin(), end.uncut.end(), [&](const auto& sealed) { return sealed.segment == stored.index; });
        const bool is_cut = uncut == end.uncut.end();
        if (is_cut && segment_end(stored.index, options_.segment_bytes) <= durable_) continue;
        auto segment = std::make_shared<OpenSegment>();
        segment->index = stored.index;
        segment->file = HF_TRY(disk_.open(segment_name(stored.index), Disk::Open::existing));
        segment->is_cut = is_cut;
        segment->seal = is_cut ? segment_begin(stored.index, options_.segment_bytes) + stored.bytes - HF_SEGMENT_END_BYTES : uncut->seal;
        segments_.push_back(std::move(segment));
    }
    return ok();
}

Result<std::unique_ptr<File>> Writer::Impl::adopted_or_made_spare(uint64_t index, std::unique_ptr<File> adopted) {
    return adopted ? std::move(adopted) : make_spare(index);
}

Status Writer::Impl::start(const StreamEnd& end) {
    HF_TRY(survey_directory(end));
    HF_TRY(adopt_unsynced(end));
    auto first = std::make_shared<OpenSegment>();
    first->index = end.next_segment;
    first->file = HF_TRY(adopted_or_made_spare(end.next_segment, std::move(adopted_[0])));
    // As with every later segment, the name goes to the disk with the first sync of what is in it.
    HF_TRY(disk_.rename(spare_name(end.next_segment), segment_name(end.next_segment)));
    Result<std::unique_ptr<File>> reserve = adopted_or_made_spare(end.next_segment + 1, std::move(adopted_[1]));
    if (!reserve) {
        // The segment is empty. Without it the attempt can be repeated as soon as the disk has space.
        (void)disk_.remove(segment_name(end.next_segment));
        return std::move(reserve).error();
    }

    MutexLock lock(mutex_);
    chain_ = ChainHash(end.chain);
    tail_ = published_ = segment_begin(end.next_segment, options_.segment_bytes);
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
