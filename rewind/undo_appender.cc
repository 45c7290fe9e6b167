#include "rewind/undo_appender.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t header_bytes = HF_UNDO_SEGMENT_HEADER_BYTES;

}  // namespace

UndoAppender::UndoAppender(Disk& disk, const journal::VolumeId& volume, uint64_t segment_bytes, UndoFiles& files)
    : disk_(disk), volume_(volume), segment_bytes_(segment_bytes), files_(files) {}

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

// Lets other threads see the log up to the tail. REQUIRES: no journal record is half written.
void UndoAppender::publish() {
    last_lsn_ = tail_.last_lsn;
    end_lsn_ = tail_.end_lsn;
    end_ = tail_address();
}

Error UndoAppender::fence(Error error) {
    error.code = ErrorCode::io;
    if (!fenced_) fenced_ = std::move(error).within("the undo log is closed for writing");
    return *fenced_;
}

Status UndoAppender::append(UndoRecord& record) {
    if (fenced_) return *fenced_;
    HF_CHECK(record.type != HF_SEGMENT_END);
    HF_CHECK(record.end_lsn >= record.lsn);
    if (group_start_)
        HF_CHECK(record.lsn == group_lsn_);
    else
        HF_CHECK(record.lsn >= tail_.end_lsn);
    const size_t length = encoded_undo_length(record);
    HF_CHECK(header_bytes + length + undo_seal_bytes <= segment_bytes_);
    if (!group_start_ && record.continued) {
        group_start_ = tail_;
        group_lsn_ = record.lsn;
    }
    auto written = make_room(length);
    if (written) written = write(record, length);
    if (!written) {
        take_back();
        return written;
    }
    if (record.continued) return ok();
    group_start_.reset();
    tail_.last_lsn = record.lsn;
    tail_.end_lsn = record.end_lsn;
    tail_.last_time_ns = record.time_ns;
    publish();
    return ok();
}

Status UndoAppender::write(UndoRecord& record, size_t length) {
    record.unsynced_bytes = unsynced_bytes();
    buffer_.clear();
    const uint64_t checksum = encode_undo(record, tail_address(), buffer_);
    HF_CHECK(buffer_.size() == length);
    HF_TRY(write_at_tail(buffer_));
    tail_.offset += length;
    tail_.chain.add(checksum);
    ++tail_.record_count;
    files_.set_size(tail_.index, tail_.offset);
    return ok();
}

Status UndoAppender::write_at_tail(ByteSpan bytes) {
    auto written = tail_file_->pwrite(bytes, tail_.offset);
    if (written) return ok();
    // Bytes of a half-written record must not stand behind the shorter one that may be written next.
    if (auto cut = tail_file_->truncate(tail_.offset); !cut) return fence(std::move(cut).error());
    return written;
}

Status UndoAppender::make_room(size_t length) {
    if (tail_file_ && tail_.offset + length + undo_seal_bytes <= segment_bytes_) return ok();
    if (tail_file_) HF_TRY(seal());
    return make_segment(tail_.offset == 0 ? tail_.index : tail_.index + 1);
}

Status UndoAppender::seal() {
    hf_segment_end end{};
    memcpy(end.chain_before, tail_.chain.before().data(), sizeof end.chain_before);
    memcpy(end.chain_after, tail_.chain.after().data(), sizeof end.chain_after);
    end.record_count = tail_.record_count;
    buffer_.clear();
    UndoRecord last;
    last.lsn = tail_.last_lsn;
    last.end_lsn = tail_.end_lsn;
    last.unsynced_bytes = unsynced_bytes();
    (void)encode_undo_seal(end, tail_address(), last, buffer_);
    HF_TRY(write_at_tail(buffer_));
    if (auto synced = tail_file_->sync(); !synced) return fence(std::move(synced).error());
    files_.set_size(tail_.index, tail_.offset + buffer_.size());
    durable_ = tail_address();
    tail_.sealed = true;
    tail_file_.reset();
    return ok();
}

Status UndoAppender::make_segment(uint64_t index) {
    auto file = HF_TRY(files_.create(index));
    if (auto filled = fill_header(*file, index); !filled) {
        // Without its header it would read as damage once a newer attempt had to take another number.
        if (auto removed = disk_.remove(undo_segment_name(index)); !removed) return fence(std::move(removed).error());
        return filled;
    }
    auto synced = file->sync();
    if (synced) synced = disk_.sync_directory();
    if (!synced) return fence(std::move(synced).error());
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

// Takes back the parts of a journal record that could not be written whole, and the segments made for them.
void UndoAppender::take_back() {
    if (!group_start_) return;
    UndoTail start = std::move(*group_start_);
    group_start_.reset();
    if (fenced_) return;
    const bool log_was_empty = start.offset == 0;
    std::vector<uint64_t> surplus;
    const uint64_t newest = files_.newest().value_or(0);
    for (uint64_t index = newest; index > start.index; --index) surplus.push_back(index);
    if (log_was_empty && files_.newest()) surplus.push_back(start.index);
    tail_file_.reset();
    for (const uint64_t index : surplus) files_.forget(index);
    if (auto cut = cut_undo_tail(disk_, surplus, start.index, start.sealed ? 0 : start.offset); !cut) {
        (void)fence(std::move(cut).error());
        return;
    }
    tail_ = std::move(start);
    durable_ = std::min(durable_, tail_address());
    if (log_was_empty || tail_.sealed) return;
    files_.set_size(tail_.index, tail_.offset);
    auto file = files_.open_for_writing(tail_.index);
    if (!file)
        (void)fence(std::move(file).error());
    else
        tail_file_ = std::move(*file);
}

Status UndoAppender::sync() {
    if (fenced_) return *fenced_;
    if (!tail_file_) return ok();
    if (auto synced = tail_file_->sync(); !synced) return fence(std::move(synced).error());
    durable_ = tail_address();
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
