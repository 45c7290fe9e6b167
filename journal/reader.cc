#include "journal/reader.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace holdfast::journal {
namespace {

// Bytes asked of the disk at once. A record longer than this makes the buffer grow to it.
constexpr size_t chunk_bytes = 256 << 10;

}  // namespace

Reader::Reader(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, InflightTable* table, Until until)
    : disk_(disk), volume_(volume), segment_bytes_(segment_bytes), table_(table), until_(until) {
    HF_CHECK(is_segment_size(segment_bytes));
}

Reader::~Reader() = default;

void Reader::seek(Lsn lsn) {
    position_ = lsn;
    buffer_used_ = 0;
}

Result<std::optional<Record>> Reader::next() {
    for (;;) {
        std::optional<Record> record = HF_TRY(next_of_any_type());
        if (!record) return record;
        position_ = record->end();
        if (record->type != HF_VOID && record->type != HF_SEGMENT_END) return record;
    }
}

Result<std::optional<RawRecord>> Reader::next_raw() {
    const std::optional<Record> record = HF_TRY(next_of_any_type());
    if (!record) return std::optional<RawRecord>();
    hf_record_header header;
    HF_CHECK(buffered().size() >= sizeof header);
    memcpy(&header, buffered().data(), sizeof header);
    const RawRecord raw{record->lsn, record->length, record->type, buffered().first(written_length(header))};
    position_ = record->end();
    return std::optional<RawRecord>(raw);
}

Result<std::optional<Record>> Reader::next_of_any_type() {
    if (position_ >= limit()) return std::optional<Record>();
    if (!HF_TRY(open_segment())) return std::optional<Record>();
    if (position_ == segment_begin(segment_index_, segment_bytes_)) position_ += HF_SEGMENT_HEADER_BYTES;
    Result<Record> record = decode_here();
    if (!record && record.error().code == ErrorCode::torn && !table_) {
        // What was read ahead may have been written since.
        buffer_used_ = 0;
        record = decode_here();
    }
    if (record && record->end() > segment_end(segment_index_, segment_bytes_))
        return Error{ErrorCode::corrupt, place() + ": a record reaches beyond its segment"};
    if (record) return std::optional<Record>(std::move(record).value());
    if (record.error().code == ErrorCode::torn && !table_) return end_of_stream(record.error());
    return std::move(record).error().within(place());
}

// Without a table, the first place without a whole record is the end, unless a later segment says otherwise.
Result<std::optional<Record>> Reader::end_of_stream(const Error& torn) {
    const Extent all = HF_TRY(extent(disk_));
    if (all.last_segment <= segment_index_) return std::optional<Record>();
    return Error{ErrorCode::corrupt, place() + ": " + torn.message + ", yet segments follow; the journal is damaged here"};
}

Result<Record> Reader::decode_here() {
    HF_TRY(fill(sizeof(hf_record_header)));
    if (const auto needed = bytes_to_decode(buffered(), position_)) HF_TRY(fill(*needed));
    return decode_record(buffered(), position_);
}

// True when the segment that holds the position is open; false when the stream ends before it.
Result<bool> Reader::open_segment() {
    const uint64_t index = segment_of(position_, segment_bytes_);
    if (segment_ && segment_index_ == index) return true;
    const std::string name = segment_name(index);
    auto opened = disk_.open(name, Disk::Open::existing_read_only);
    if (!opened && opened.error().code == ErrorCode::not_found) {
        if (!table_) {
            const auto all = extent(disk_);
            if (!all && all.error().code == ErrorCode::not_found) return false;
            if (!all) return all.error();
            if (all->last_segment < index) return false;
        }
        return Error{ErrorCode::not_found, "the journal no longer has the segment " + name + " with the address " +
                                               std::to_string(position_) + ": it was deleted, or it is lost"};
    }
    if (!opened) return std::move(opened).error();
    if (auto header = read_segment_header(**opened, volume_, segment_bytes_, index); !header)
        return std::move(header).error().within("journal segment " + name);
    segment_ = std::move(*opened);
    segment_index_ = index;
    buffer_used_ = 0;
    const Lsn durable = table_ ? table_->head().durable.load() : 0;
    std::erase_if(unsynced_, [&](const auto& read) { return segment_end(read.first, segment_bytes_) <= durable; });
    unsynced_.emplace_back(index, segment_);
    has_unsynced_name_ = true;
    return true;
}

// Has at least WANTED bytes from the position on in the buffer, or all there are below the limit and the file's end.
Status Reader::fill(size_t wanted) {
    if (buffered().size() >= wanted) return ok();
    const ByteSpan kept = buffered();
    const size_t capacity = std::max(wanted, chunk_bytes);
    if (buffer_.size() < capacity) {
        std::vector<std::byte> larger(capacity);
        std::copy(kept.begin(), kept.end(), larger.begin());
        buffer_ = std::move(larger);
        buffer_used_ = kept.size();
    } else {
        const size_t kept_bytes = kept.size();
        if (kept_bytes != 0) memmove(buffer_.data(), kept.data(), kept_bytes);
        buffer_used_ = kept_bytes;
    }
    buffer_start_ = position_;

    const Lsn from = buffer_start_ + buffer_used_;
    const Lsn to = std::min({buffer_start_ + buffer_.size(), segment_end(segment_index_, segment_bytes_), limit()});
    if (from >= to) return ok();
    const auto target = MutableByteSpan(buffer_).subspan(buffer_used_, to - from);
    buffer_used_ += HF_TRY(segment_->pread(target, from % segment_bytes_));
    return ok();
}

ByteSpan Reader::buffered() const {
    if (position_ < buffer_start_ || position_ > buffer_start_ + buffer_used_) return {};
    const size_t skip = position_ - buffer_start_;
    return ByteSpan(buffer_).subspan(skip, buffer_used_ - skip);
}

Lsn Reader::limit() const {
    if (!table_) return lsn_max;
    return until_ == Until::durable ? table_->head().durable.load() : table_->head().published.load();
}

std::string Reader::place() const {
    return "journal segment " + segment_name(segment_of(position_, segment_bytes_)) + ", address " +
           std::to_string(position_);
}

Status Reader::sync() {
    // Without a table nobody says what is durable. It may be missing because whoever is about to write has not made it yet.
    if (table_ && table_->head().durable.load() >= position_) return ok();
    if (sync_failure_) return *sync_failure_;
    Status synced = ok();
    for (const auto& [index, segment] : unsynced_) {
        if (synced) synced = segment->sync();
    }
    if (synced && has_unsynced_name_) synced = disk_.sync_directory();
    if (!synced) {
        // Asked again, the kernel would say yes: it has marked the pages clean.
        sync_failure_ = synced.error();
        return synced;
    }
    has_unsynced_name_ = false;
    // The one being read goes on growing.
    std::erase_if(unsynced_, [&](const auto& read) { return read.second != segment_; });
    return ok();
}

Result<Reader::Extent> Reader::extent(Disk& disk) {
    std::optional<Extent> found;
    for (const std::string& name : HF_TRY(disk.list())) {
        const auto index = parse_segment_name(name);
        if (!index) continue;
        if (!found) found = Extent{*index, *index};
        found->first_segment = std::min(found->first_segment, *index);
        found->last_segment = std::max(found->last_segment, *index);
    }
    if (!found) return Error{ErrorCode::not_found, "the journal has no segment"};
    return *found;
}

}  // namespace holdfast::journal
