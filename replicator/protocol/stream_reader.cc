#include "replicator/protocol/stream_reader.h"

#include <algorithm>

#include "base/check.h"
#include "journal/chain_at.h"
#include "journal/segment_walk.h"

namespace holdfast::replicator {

using namespace journal;

namespace {

constexpr size_t small_batch_bytes = 64 << 10;

}  // namespace

StreamReader::StreamReader(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, InflightTable* table, Reader::Until until)
    : disk_(disk), volume_(volume), segment_bytes_(segment_bytes), reader_(disk, volume, segment_bytes, table, until) {}

Result<StreamPiece> StreamReader::read(Lsn from, uint32_t bytes_max) {
    if (reader_.position() != from) reader_.seek(from);
    StreamPiece piece;
    Records& records = piece.records;
    const Lsn limit = segment_end(segment_of(from, segment_bytes_), segment_bytes_);
    while (records.bytes.size() < bytes_max && (records.bytes.empty() || records.end < limit)) {
        auto next = reader_.next_raw();
        // What was read before the damage is whole, and the next call meets the error with an empty hand.
        if (!next && !records.bytes.empty()) break;
        const auto record = HF_TRY(std::move(next));
        if (!record) break;
        if (records.bytes.empty()) records.first = record->lsn;
        records.end = record->end();
        // A source that catches up: grown by doubling, a batch would be copied once more.
        const size_t bytes = records.bytes.size() + record->bytes.size();
        if (bytes > records.bytes.capacity() && bytes > small_batch_bytes) records.bytes.reserve(std::max<size_t>(bytes, bytes_max + bytes_max / 8));
        records.bytes.insert(records.bytes.end(), record->bytes.begin(), record->bytes.end());
    }
    if (from % segment_bytes_ != 0 || records.bytes.empty()) return piece;
    const hf_segment_header header = HF_TRY(read_segment_header(disk_, volume_, segment_bytes_, segment_of(from, segment_bytes_)));
    const ByteSpan bytes = bytes_of(header);
    piece.header.assign(bytes.begin(), bytes.end());
    return piece;
}

namespace {

// Where the last record of the segment that ends at or below AT ends; nothing when the segment is not kept.
Result<std::optional<Lsn>> last_boundary(Disk& disk, uint64_t segment_bytes, Lsn at) {
    const uint64_t index = segment_of(at, segment_bytes);
    if (at <= segment_first_record(index, segment_bytes)) return std::optional<Lsn>(segment_begin(index, segment_bytes));
    auto file = disk.open(segment_name(index), Disk::Open::existing_read_only);
    if (!file && file.error().code == ErrorCode::not_found) return std::optional<Lsn>();
    if (!file) return std::move(file).error();
    SegmentWalk walk = HF_TRY(SegmentWalk::open(**file, index, segment_bytes));
    Lsn boundary = walk.position();
    while (HF_TRY(walk.next()) && walk.position() <= at) boundary = walk.position();
    return std::optional<Lsn>(moment_of(boundary, segment_bytes));
}

}  // namespace

Result<std::optional<Position>> position_at_or_below(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, Lsn at) {
    const auto boundary = HF_TRY(last_boundary(disk, segment_bytes, at));
    if (!boundary) return std::optional<Position>();
    auto chain = chain_at(disk, volume, segment_bytes, *boundary);
    if (!chain && (chain.error().code == ErrorCode::not_found || chain.error().code == ErrorCode::corrupt)) return std::optional<Position>();
    if (!chain) return std::move(chain).error();
    return std::optional<Position>({*boundary, *chain});
}

}  // namespace holdfast::replicator
