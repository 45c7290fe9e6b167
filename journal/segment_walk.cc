#include "journal/segment_walk.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "journal/segment.h"

namespace holdfast::journal {
namespace {

static_assert(segment_walk_window_bytes > HF_RECORD_BYTES_MAX);

// Cheap to ask at every eighth byte: almost nothing that is not a record carries its own address.
bool may_be_record(ByteSpan bytes, Lsn lsn) {
    uint64_t carried;
    if (bytes.size() < sizeof(hf_record_header)) return false;
    memcpy(&carried, bytes.data() + offsetof(hf_record_header, lsn), sizeof carried);
    return carried == lsn;
}

// Whole by its checksum, whatever it says: damage that happens to lie before it does not make it less whole.
bool is_whole(ByteSpan bytes, Lsn lsn) {
    auto record = decode_record(bytes, lsn);
    return record || record.error().code != ErrorCode::torn;
}

bool all_zero(ByteSpan bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

Result<SegmentWalk> SegmentWalk::open(File& file, uint64_t index, uint64_t segment_bytes, Lsn below) {
    const uint64_t file_bytes = std::min(HF_TRY(file.size()), segment_bytes);
    const Lsn start = segment_begin(index, segment_bytes);
    return SegmentWalk(file, index, segment_bytes, below <= start ? 0 : std::min(file_bytes, below - start));
}

Result<ByteSpan> SegmentWalk::bytes_at(Lsn lsn) {
    HF_CHECK(lsn >= start_ && lsn <= segment_end());
    Lsn file_end = start_ + file_bytes_;
    if (lsn >= file_end) return ByteSpan();
    Lsn wanted = std::min<Lsn>(file_end, lsn + HF_RECORD_BYTES_MAX);
    if (window_.empty() || lsn < window_start_ || wanted > window_start_ + window_.size()) {
        const size_t size = std::min<uint64_t>(segment_walk_window_bytes, file_end - lsn);
        if (buffer_.size() < size) buffer_ = Buffer(size);
        window_ = MutableByteSpan(buffer_.data(), size);
        window_ = window_.first(HF_TRY(file_->pread(window_, lsn - start_)));
        window_start_ = lsn;
    }
    return ByteSpan(window_).subspan(std::min<size_t>(lsn - window_start_, window_.size()));
}

Result<std::optional<Record>> SegmentWalk::next() {
    why_ = ErrorCode::torn;
    if (position_ >= segment_end()) return std::optional<Record>();
    ByteSpan bytes = HF_TRY(bytes_at(position_));
    auto record = decode_record(bytes, position_);
    if (!record) {
        why_ = record.error().code;
        return std::optional<Record>();
    }
    // Whole by its checksum and yet longer than its segment: no writer of ours made it.
    bool is_seal = record->type == HF_SEGMENT_END;
    Lsn room_end = is_seal ? segment_end() : segment_end() - HF_SEGMENT_END_BYTES;
    if (record->end() > room_end || (is_seal && record->end() != segment_end())) {
        why_ = ErrorCode::corrupt;
        return std::optional<Record>();
    }
    memcpy(&checksum_, bytes.data() + offsetof(hf_record_header, checksum), sizeof checksum_);
    position_ = record->end();
    return std::optional<Record>(std::move(*record));
}

Result<std::optional<Lsn>> SegmentWalk::find(Lsn below) {
    Lsn end = std::min(start_ + file_bytes_, below);
    for (Lsn lsn = position_; lsn < end; lsn += HF_RECORD_ALIGNMENT) {
        ByteSpan bytes = HF_TRY(bytes_at(lsn));
        // Through the window in one go, up to a place that deserves a closer look.
        while (lsn < end && bytes.size() >= sizeof(hf_record_header) && !may_be_record(bytes, lsn)) {
            bytes = bytes.subspan(HF_RECORD_ALIGNMENT);
            lsn += HF_RECORD_ALIGNMENT;
        }
        if (lsn >= end) break;
        bytes = HF_TRY(bytes_at(lsn));
        if (bytes.size() < sizeof(hf_record_header)) break;
        if (may_be_record(bytes, lsn) && is_whole(bytes, lsn)) return std::optional<Lsn>(lsn);
    }
    return std::optional<Lsn>();
}

Result<bool> SegmentWalk::is_blank() {
    Lsn file_end = start_ + file_bytes_;
    for (Lsn lsn = position_; lsn < file_end;) {
        ByteSpan bytes = HF_TRY(bytes_at(lsn));
        if (bytes.empty()) break;
        if (!all_zero(bytes)) return false;
        lsn += bytes.size();
    }
    return true;
}

Result<std::optional<SegmentEnd>> find_seal(File& file, uint64_t index, uint64_t segment_bytes) {
    if (auto seal = HF_TRY(read_seal(file, index, segment_bytes))) return seal;
    SegmentWalk walk = HF_TRY(SegmentWalk::open(file, index, segment_bytes));
    while (const auto record = HF_TRY(walk.next())) {
        if (record->type == HF_SEGMENT_END) return std::optional<SegmentEnd>(record->as<SegmentEnd>());
    }
    return std::optional<SegmentEnd>();
}

}  // namespace holdfast::journal
