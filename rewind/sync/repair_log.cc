#include "rewind/sync/repair_log.h"

#include <cstring>

#include "base/small_file.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view log_file = "repair-records";
constexpr uint64_t magic = 0x474f4c5252534648ULL;  // "HFSRRLOG"

struct Header {
    uint64_t magic;
    uint64_t first;
    uint64_t until;
};
static_assert(sizeof(Header) == 24);

}  // namespace

Result<std::unique_ptr<RepairLog>> RepairLog::open(Disk& disk) {
    auto file = disk.open(log_file, Disk::Open::existing);
    if (!file && file.error().code == ErrorCode::not_found) return std::unique_ptr<RepairLog>();
    if (!file) return std::move(file).error();
    Header header{};
    const size_t got = HF_TRY((*file)->pread({reinterpret_cast<std::byte*>(&header), sizeof header}, 0));
    if (got < sizeof header || header.magic != magic || header.until < header.first)
        return Error{ErrorCode::corrupt, "the file `repair-records` of the store is damaged; remove it: the repair that was under way compares everything again"};
    std::unique_ptr<RepairLog> log(new RepairLog(disk, std::move(*file), header.first, header.until));
    log->end_ = HF_TRY(log->file_->size());
    log->seek(header.first);
    return log;
}

Result<std::unique_ptr<RepairLog>> RepairLog::begin(Disk& disk, Lsn at, Lsn until) {
    const Header header{magic, at, until};
    HF_TRY(replace_small_file(disk, log_file, {reinterpret_cast<const char*>(&header), sizeof header}));
    return open(disk);
}

Status RepairLog::remove(Disk& disk) {
    return remove_small_file(disk, log_file);
}

Status RepairLog::restart(Lsn at) {
    const auto fresh = HF_TRY(begin(disk_, at, until_));
    file_ = std::move(fresh->file_);
    first_ = at;
    end_ = sizeof(Header);
    seek(at);
    return ok();
}

Status RepairLog::append(const Batch& batch) {
    for (const Record& record : batch.records()) {
        const journal::EncodedRecord encoded(record, journal::encoded_length(record.body));
        HF_TRY(file_->pwrite(encoded.pieces(), end_));
        for (const ByteSpan piece : encoded.pieces()) end_ += piece.size();
    }
    return file_->sync();
}

// Forward only from where it is; else from the beginning.
void RepairLog::seek(Lsn lsn) {
    position_ = first_;
    read_at_ = sizeof(Header);
    while (position_ < lsn) {
        const auto skipped = next();
        if (!skipped || !*skipped) break;
    }
}

Result<std::optional<journal::Record>> RepairLog::next() {
    buffer_.resize(sizeof(hf_record_header));
    if (HF_TRY(file_->pread(buffer_, read_at_)) < buffer_.size()) return std::optional<journal::Record>();
    Lsn at = position_;
    auto length = journal::bytes_to_decode(buffer_, at);
    if (!length) length = journal::bytes_to_decode(buffer_, at = until_ - repair_record_step);
    if (!length || *length > HF_RECORD_BYTES_MAX) return std::optional<journal::Record>();
    buffer_.resize(*length);
    // What a crash cut off was never applied.
    if (HF_TRY(file_->pread(buffer_, read_at_)) < buffer_.size()) return std::optional<journal::Record>();
    auto record = journal::decode_record(buffer_, at);
    if (!record && record.error().code == ErrorCode::torn) return std::optional<journal::Record>();
    if (!record) return record.error();
    read_at_ += *length;
    record->length = repair_record_step;
    position_ = record->end();
    return std::optional(std::move(*record));
}

}  // namespace holdfast::rewind
