#include "rewind/undo/undo_appender.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t header_bytes = HF_UNDO_SEGMENT_HEADER_BYTES;

}  // namespace

UndoAppender::UndoAppender(Disk& disk, const journal::VolumeId& volume, uint64_t segment_bytes, size_t write_bytes, UndoFiles& files)
    : disk_(disk), volume_(volume), segment_bytes_(segment_bytes), write_bytes_(write_bytes), files_(files) {}

Status UndoAppender::load(UndoSurvey survey) {
    tail_ = std::move(survey.tail);
    for (const uint64_t index : survey.segments) HF_TRY(files_.adopt(index));
    if (!survey.segments.empty()) begin_ = survey.segments.front() * segment_bytes_ + header_bytes;
    if (tail_.offset != 0 && !tail_.sealed) tail_file_ = HF_TRY(files_.open_for_writing(tail_.index));
    // What was found whole may lie in the page cache only, when the process died and the host lived. The image will be
    // changed on the strength of it, so it is made durable like anything that is appended. The directory too: it may
    // be a segment whose maker died before it had synced the name.
    if (tail_file_) HF_TRY(tail_file_->sync());
    if (!survey.segments.empty()) HF_TRY(disk_.sync_directory());
    durable_ = tail_address();
    publish();
    return ok();
}

UndoAddress UndoAppender::tail_address() const {
    return tail_.index * segment_bytes_ + std::max(tail_.offset, header_bytes);
}

uint32_t UndoAppender::unsynced_bytes() const {
    const UndoAddress segment_start = tail_.index * segment_bytes_ + header_bytes;
    return static_cast<uint32_t>(tail_address() - std::max(durable_, segment_start));
}

// Lets other threads see the log up to the tail. REQUIRES: all of it is written, and no journal record half.
void UndoAppender::publish() {
    last_lsn_ = tail_.last_lsn;
    end_lsn_ = tail_.end_lsn;
    end_ = tail_address();
}

Error UndoAppender::fence(Error error) {
    if (error.code != ErrorCode::no_space) error.code = ErrorCode::io;
    if (!fenced_) fenced_ = std::move(error).within("the undo log is closed for writing");
    return *fenced_;
}

Status UndoAppender::append(UndoRecord& record) {
    if (fenced_) return *fenced_;
    HF_CHECK(record.type != HF_SEGMENT_END);
    HF_CHECK(record.end_lsn >= record.lsn);
    if (group_lsn_)
        HF_CHECK(record.lsn == *group_lsn_);
    else
        HF_CHECK(record.lsn >= tail_.end_lsn);
    if (auto written = write(record); !written) return fence(std::move(written).error());
    if (record.continued) {
        group_lsn_ = record.lsn;
        return ok();
    }
    group_lsn_.reset();
    tail_.last_lsn = record.lsn;
    tail_.end_lsn = record.end_lsn;
    tail_.last_time_ns = record.time_ns;
    if (pending_.empty()) publish();
    return ok();
}

Status UndoAppender::write(UndoRecord& record) {
    const size_t length = encoded_undo_length(record);
    HF_CHECK(header_bytes + length + undo_seal_bytes <= segment_bytes_);
    HF_TRY(make_room(length));
    record.unsynced_bytes = unsynced_bytes();
    const size_t before = pending_.size();
    const uint64_t checksum = encode_undo(record, tail_address(), pending_);
    HF_CHECK(pending_.size() == before + length);
    tail_.offset += length;
    tail_.chain.add(checksum);
    ++tail_.record_count;
    if (pending_.size() < write_bytes_) return ok();
    const uint64_t from = tail_.offset - pending_.size(), bytes = pending_.size();
    HF_TRY(write_pending());
    tail_file_->start_sync(from, bytes);
    return ok();
}

Status UndoAppender::write_pending() {
    if (pending_.empty()) return ok();
    HF_TRY(tail_file_->pwrite(pending_, tail_.offset - pending_.size()));
    files_.set_size(tail_.index, tail_.offset);
    pending_.clear();
    return ok();
}

Status UndoAppender::make_room(size_t length) {
    if (tail_file_ && tail_.offset + length + undo_seal_bytes <= segment_bytes_) return ok();
    if (tail_file_) HF_TRY(seal());
    return make_segment(tail_.offset == 0 ? tail_.index : tail_.index + 1);
}

Status UndoAppender::seal() {
    HF_TRY(write_pending());
    hf_segment_end end{};
    memcpy(end.chain_before, tail_.chain.before().data(), sizeof end.chain_before);
    memcpy(end.chain_after, tail_.chain.after().data(), sizeof end.chain_after);
    end.record_count = tail_.record_count;
    UndoRecord last;
    last.lsn = tail_.last_lsn;
    last.end_lsn = tail_.end_lsn;
    last.unsynced_bytes = unsynced_bytes();
    std::vector<std::byte> seal;
    (void)encode_undo_seal(end, tail_address(), last, seal);
    HF_TRY(tail_file_->pwrite(ByteSpan(seal), tail_.offset));
    HF_TRY(tail_file_->sync());
    files_.set_size(tail_.index, tail_.offset + seal.size());
    durable_ = tail_address();
    tail_.sealed = true;
    tail_file_.reset();
    return ok();
}

Status UndoAppender::make_segment(uint64_t index) {
    auto file = HF_TRY(files_.create(index));
    HF_TRY(fill_header(*file, index));
    HF_TRY(file->sync());
    HF_TRY(disk_.sync_directory());
    tail_.chain = UndoChain(tail_.offset == 0 ? tail_.chain.before() : tail_.chain.after());
    tail_.index = index;
    tail_.offset = header_bytes;
    tail_.sealed = false;
    tail_.record_count = 0;
    tail_file_ = std::move(file);
    files_.set_size(index, header_bytes);
    durable_ = tail_address();
    return ok();
}

Status UndoAppender::fill_header(File& file, uint64_t index) {
    hf_undo_segment_header header{};
    header.magic = HF_UNDO_MAGIC;
    header.version = HF_UNDO_VERSION;
    header.header_bytes = header_bytes;
    memcpy(header.volume, volume_.bytes.data(), sizeof header.volume);
    header.segment_index = index;
    header.segment_bytes = segment_bytes_;
    header.previous_lsn = tail_.last_lsn;
    header.previous_end_lsn = tail_.end_lsn;
    header.previous_time_ns = tail_.last_time_ns;
    const ChainHash before = tail_.offset == 0 ? tail_.chain.before() : tail_.chain.after();
    memcpy(header.chain_before, before.data(), sizeof header.chain_before);
    return write_undo_segment_header(file, header);
}

Status UndoAppender::sync() {
    if (fenced_) return *fenced_;
    HF_CHECK(!group_lsn_);
    if (!tail_file_) return ok();
    Status synced = write_pending();
    if (synced) synced = tail_file_->sync();
    if (!synced) return fence(std::move(synced).error());
    durable_ = tail_address();
    publish();
    return ok();
}

Result<UndoAddress> UndoAppender::drop_below(UndoAddress address) {
    for (;;) {
        const auto oldest = files_.oldest(), newest = files_.newest();
        if (!oldest || *oldest == *newest || *oldest >= end_.load() / segment_bytes_) break;
        // A sealed segment's records end before its file does, at the seal.
        if (*oldest * segment_bytes_ + files_.size(*oldest).value_or(0) - undo_seal_bytes > address) break;
        // Readers find it gone before it goes, so that they say "dropped" and not "missing".
        uint64_t next = *oldest + 1;
        files_.forget(*oldest);
        begin_ = files_.oldest().value_or(next) * segment_bytes_ + header_bytes;
        HF_TRY(disk_.remove(undo_segment_name(*oldest)));
        // One by one: if a newer of two vanished first, a crash would leave a hole in the numbers.
        HF_TRY(disk_.sync_directory());
    }
    return begin_.load();
}

}  // namespace holdfast::rewind
