#include "test/support/journal_builder.h"

#include <algorithm>
#include <stdexcept>

#include "journal/segment_walk.h"

namespace holdfast::test {
namespace {

using namespace journal;

// What fails here is the test's own scaffolding.
template <typename T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(result).value();
}
void must(const Status& status) {
    if (!status) throw std::runtime_error(status.error().message);
}

}  // namespace

JournalBuilder::JournalBuilder(Disk& disk, uint64_t first_segment) : disk(disk), volume(random_volume_id()), segment_(first_segment) {
    begin_segment();
}

JournalBuilder::JournalBuilder(Disk& disk, const VolumeId& volume, const StreamEnd& end)
    : disk(disk), volume(volume), segment_(end.next_segment), chain_(end.chain) {
    begin_segment();
}

void JournalBuilder::begin_segment() {
    file_ = must(disk.open(segment_name(segment_), Disk::Open::create_new));
    must(file_->truncate(segment_bytes));
    SegmentHeader header;
    header.volume = volume;
    header.index = segment_;
    header.segment_bytes = segment_bytes;
    must(file_->pwrite(ByteSpan(encode_segment_header(header)), 0));
    end_ = segment_first_record(segment_, segment_bytes);
}

Lsn JournalBuilder::add(Record record) {
    record.lsn = end_;
    record.time_ns = time_ns;
    time_ns += 1'000'000;
    EncodedRecord encoded(record, encoded_length(record.body));
    must(file_->pwrite(encoded.pieces(), end_ % segment_bytes));
    chain_.add(encoded.checksum());
    end_ += encoded.length();
    return record.lsn;
}

Lsn JournalBuilder::add_write(size_t bytes, char fill) {
    std::string data(bytes, fill);
    Record record;
    record.type = HF_WRITE;
    record.object = {42, 7, 1};
    record.body = Write{0, bytes_of(data)};
    return add(record);
}

Lsn JournalBuilder::add_session(bool open, bool clean) {
    Record record;
    record.type = open ? HF_SESSION_OPEN : HF_SESSION_CLOSE;
    record.body = Session{open, {}, 1, clean};
    return add(record);
}

Lsn JournalBuilder::hole(uint64_t bytes) {
    Lsn lsn = end_;
    end_ += bytes;
    return lsn;
}

void JournalBuilder::write_seal() {
    Lsn segment_limit = segment_end(segment_, segment_bytes);
    EncodedRecord seal(seal_record(chain_, end_, time_ns), static_cast<uint32_t>(segment_limit - end_));
    must(file_->pwrite(seal.pieces(), end_ % segment_bytes));
    chain_ = ChainHash(chain_.after());
    end_ = segment_limit;
}

void JournalBuilder::finish() {
    const Lsn seal = end_;
    write_seal();
    must(file_->truncate(seal % segment_bytes + HF_SEGMENT_END_BYTES));
}

void JournalBuilder::seal_uncut() {
    write_seal();
    ++segment_;
    begin_segment();
}

void JournalBuilder::seal() {
    finish();
    ++segment_;
    begin_segment();
}

void JournalBuilder::leave_unsealed() {
    ++segment_;
    begin_segment();
}

std::vector<StreamRecord> records_of(Disk& disk, const VolumeId& volume, uint64_t segment_bytes) {
    std::vector<StreamRecord> all;
    std::vector<uint64_t> indexes;
    for (const std::string& name : must(disk.list())) {
        if (auto index = parse_segment_name(name)) indexes.push_back(*index);
    }
    for (uint64_t index : indexes) {
        auto file = must(disk.open(segment_name(index), Disk::Open::existing_read_only));
        std::vector<std::byte> header(HF_SEGMENT_HEADER_BYTES);
        header.resize(must(file->pread(header, 0)));
        must(decode_segment_header(header, volume, segment_bytes, index));
        SegmentWalk walk = must(SegmentWalk::open(*file, index, segment_bytes));
        while (auto record = must(walk.next())) all.push_back({record->lsn, record->length, record->type});
        if (walk.position() != walk.segment_end()) break;
    }
    return all;
}

void flip(Disk& disk, const std::string& name, uint64_t offset) {
    auto file = must(disk.open(name, Disk::Open::existing));
    std::byte byte;
    if (must(file->pread({&byte, 1}, offset)) != 1) throw std::runtime_error("nothing to flip there");
    byte ^= std::byte{0x10};
    must(file->pwrite(ByteSpan(&byte, 1), offset));
}

void overwrite(Disk& disk, const std::string& name, uint64_t offset, size_t bytes, char fill) {
    auto file = must(disk.open(name, Disk::Open::existing));
    must(file->pwrite(bytes_of(std::string(bytes, fill)), offset));
}

}  // namespace holdfast::test
