#include "journal/inbound.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "journal/chain_at.h"
#include "journal/inbound_batch.h"
#include "journal/segment_walk.h"

namespace holdfast::journal {
namespace {

constexpr size_t early_write_bytes_min = 256 << 10;

Error out_of_turn(std::string_view why) {
    return {ErrorCode::invalid_argument, "the inbound journal cannot take this now: " + std::string(why)};
}

// The whole page that goes with the header HEADER.
Result<std::vector<std::byte>> header_page(ByteSpan header) {
    if (header.size() != sizeof(hf_segment_header))
        return Error{ErrorCode::corrupt, "a segment header has " + std::to_string(sizeof(hf_segment_header)) + " bytes, not " +
                                             std::to_string(header.size())};
    std::vector<std::byte> page(HF_SEGMENT_HEADER_BYTES);
    memcpy(page.data(), header.data(), header.size());
    return page;
}

}  // namespace

Inbound::Inbound(Disk& disk, InflightTable* table, const VolumeId& volume, uint64_t segment_bytes)
    : disk_(disk), table_(table), volume_(volume), segment_bytes_(segment_bytes) {}

Inbound::~Inbound() = default;

Lsn Inbound::begin() const {
    if (segments_.empty()) return beginning_ ? beginning_->lsn : 0;
    return segment_begin(segments_.front(), segment_bytes_);
}

// In its file. Where a segment ends is a place in it as well, for a seal may end there: the remainder of the address would be its beginning.
uint64_t Inbound::place_in_newest(Lsn lsn) const {
    const Lsn begin = segment_begin(segments_.back(), segment_bytes_);
    HF_CHECK(lsn >= begin && lsn - begin <= segment_bytes_);
    return lsn - begin;
}

Status Inbound::begin_segment(ByteSpan header) {
    if (fence_) return fence_error();
    if (!segments_.empty() && !is_sealed_) return out_of_turn("the segment before is not sealed, a record must come");
    const std::vector<std::byte> page = HF_TRY(header_page(header));
    auto decoded = decode_segment_header(page);
    if (!decoded && decoded.error().code == ErrorCode::torn) return Error{ErrorCode::corrupt, decoded.error().message};
    if (!decoded) return std::move(decoded).error();
    const uint64_t index = is_empty() ? decoded->index : segment_of(received_, segment_bytes_);
    HF_TRY(decode_segment_header(page, volume_, segment_bytes_, index));

    // The order that everything stands on: the segment before is durable, with its name, before this one's name exists.
    // Were it not,
    //   (1) segment 7 is written and not synced, segment 8 is begun, the directory is synced, the power fails;
    //   (2) 8 is there and 7 is not, or has a hole: open() finds damage in the middle and cannot tell it from a disk that
    //       lost what it had, so it would have to refuse, for something that the source could simply send again.
    HF_TRY(sync());
    std::unique_ptr<File> file = HF_TRY(make_segment_file(index, page));
    // Whether a rename that failed took place nobody knows.
    if (Status renamed = disk_.rename(spare_name(index), segment_name(index)); !renamed) return fence(renamed.error());
    if (segments_.empty()) {
        const auto before = chain_known_before(index);
        chain_ = before ? std::optional(ChainHash(*before)) : std::nullopt;
    }
    segments_.push_back(index);
    file_ = std::move(file);
    has_unsynced_name_ = true;
    is_sealed_ = false;
    received_ = segment_first_record(index, segment_bytes_);
    return ok();
}

// Made under the name of a spare, so that a name of a segment never stands over a file without a header except after a power
// cut, when open() removes it.
Result<std::unique_ptr<File>> Inbound::make_segment_file(uint64_t index, ByteSpan header_page) {
    const std::string name = spare_name(index);
    auto made = disk_.open(name, Disk::Open::create_new);
    if (!made && made.error().code == ErrorCode::exists) {
        HF_TRY(disk_.remove(name));  // of an attempt that failed and could not be cleaned up
        made = disk_.open(name, Disk::Open::create_new);
    }
    std::unique_ptr<File> file = HF_TRY(std::move(made));
    // Blocks are taken now, so that a full disk is met here and not by a record, and a sync has only data to write.
    Status filled = file->allocate(segment_bytes_);
    if (filled) filled = file->pwrite(header_page, 0);
    if (filled) return file;
    file.reset();
    (void)disk_.remove(name);
    return std::move(filled).error();
}

Status Inbound::append(ByteSpan records) {
    if (fence_) return fence_error();
    if (records.empty()) return ok();
    if (records.size() > inbound_batch_bytes_max)
        return Error{ErrorCode::invalid_argument, "a batch of records has " + human_bytes(records.size()) + ", at most " +
                                                      human_bytes(inbound_batch_bytes_max) + " are taken at once"};
    if (segments_.empty() || is_sealed_) return out_of_turn("a segment must begin with its header");
    const Lsn limit = segment_end(segments_.back(), segment_bytes_);
    const InboundBatch batch = HF_TRY(check_batch(records, received_, limit));

    std::optional<ChainHash> chain = chain_;
    if (batch.seal && !chain) chain = HF_TRY(chain_of_unknown_beginning(batch.seal->chain_before));
    if (chain) {
        for (const uint64_t checksum : batch.checksums) chain->add(checksum);
    }
    if (batch.seal) {
        const SegmentEnd& seal = *batch.seal;
        if (seal.chain_before != chain->before() || seal.chain_after != chain->after() || seal.record_count != chain->count())
            return Error{ErrorCode::corrupt, "the seal that came for journal segment " + segment_name(segments_.back()) +
                                                 " does not fit its records: the source's history is not the one kept here"};
        chain = ChainHash(seal.chain_after);
    }
    if (Status written = write_batch(batch); !written) return forget_unwritten(written.error());
    chain_ = std::move(chain);
    is_sealed_ = batch.seal.has_value();
    received_ = batch.end;
    publish();
    return ok();
}

Status Inbound::write_batch(const InboundBatch& batch) {
    for (const InboundBatch::Run& run : batch.runs) {
        HF_TRY(file_->pwrite(run.bytes, place_in_newest(run.lsn)));
        // Of a source that catches up: while the sync that follows waits nothing is taken in, so the disk has begun by then.
        if (run.bytes.size() >= early_write_bytes_min) file_->start_sync(place_in_newest(run.lsn), run.bytes.size());
    }
    if (batch.seal) HF_TRY(file_->truncate(place_in_newest(batch.written_end)));
    return ok();
}

// What was written of a batch that failed must not lie under the records of another one: between them, where nothing is ever
// written, the file would differ from the source's.
Status Inbound::forget_unwritten(const Error& failure) {
    if (Status forgotten = file_->truncate(place_in_newest(received_)); !forgotten) (void)fence(forgotten.error());
    return failure;
}

// A journal that began in the middle learns its first chain from its first seal, so the records before are taken in now.
Result<ChainHash> Inbound::chain_of_unknown_beginning(const ChainHash::Value& before) const {
    ChainHash chain(before);
    SegmentWalk walk = HF_TRY(SegmentWalk::open(*file_, segments_.back(), segment_bytes_, received_));
    while (walk.position() < received_) {
        if (!HF_TRY(walk.next()))
            return Error{ErrorCode::corrupt, "journal segment " + segment_name(segments_.back()) + " is damaged at the address " +
                                                 std::to_string(walk.position())};
        chain.add(walk.checksum());
    }
    return chain;
}

std::shared_ptr<Inbound::BegunSync> Inbound::begin_sync() {
    if (fence_ || begun_sync_ || has_unsynced_name_ || !file_ || durable_ == received_) return nullptr;
    return begun_sync_ = std::make_shared<BegunSync>(file_, received_);
}

// Before anything else is synced or goes. The kernel tells a failed write to one sync of a file alone: were a second one made while
// this one fails, it might be told that all is well, and what is lost would be acknowledged.
Status Inbound::end_sync() {
    if (fence_) return fence_error();
    if (!begun_sync_) return ok();
    const auto begun = std::exchange(begun_sync_, nullptr);
    if (const Status& synced = begun->run(); !synced) return fence(synced.error());
    durable_ = std::max(durable_, begun->until());
    publish();
    return ok();
}

Status Inbound::sync() {
    HF_TRY(end_sync());
    if (segments_.empty() || (durable_ == received_ && !has_unsynced_name_)) return ok();
    // The file first: when its name is durable, its header is.
    if (Status synced = file_->sync(); !synced) return fence(synced.error());
    if (has_unsynced_name_) {
        if (Status synced = disk_.sync_directory(); !synced) return fence(synced.error());
    }
    has_unsynced_name_ = false;
    durable_ = received_;
    publish();
    return ok();
}

Result<ChainHash::Value> Inbound::chain_at(Lsn at) {
    if (!segments_.empty() && chain_ && moment_of(at, segment_bytes_) == moment_of(received_, segment_bytes_)) return chain_->here();
    return journal::chain_at(disk_, volume_, segment_bytes_, at);
}

// Recovery counts what lies beyond `reserved` as not there, so that word is never below `published`.
// A reader that stands at a segment's beginning must not be sent to a record that is not there yet: hence moments.
void Inbound::publish() {
    if (!table_) return;
    SharedHead& head = table_->head();
    const Lsn published = moment_of(received_, segment_bytes_);
    const Lsn durable = moment_of(durable_, segment_bytes_);
    if (published >= head.published.load()) {
        head.reserved.store(published);
        head.published.store(published);
        head.durable.store(durable);
    } else {
        head.durable.store(durable);
        head.published.store(published);
        head.reserved.store(published);
    }
    table_->wake_readers();
}

// Returns the failure as it is; those who come later are told that it was before.
// What follows is seen by nobody who does not see this word changed.
void Inbound::announce_cut() {
    if (table_) table_->head().cuts.fetch_or(1);
}

void Inbound::announce_cut_done() {
    if (table_) table_->head().cuts.fetch_add(1);
}

Status Inbound::fence(const Error& error) {
    if (!fence_) fence_ = error;
    return error;
}

Error Inbound::fence_error() const {
    return {ErrorCode::io, "the inbound journal is fenced since an earlier failure: " + fence_->message, fence_->sys_errno};
}

}  // namespace holdfast::journal
