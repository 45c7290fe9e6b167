// A journal to try things on: a disk (in memory unless told otherwise), a table in a scratch directory, a writer.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "journal/reader.h"
#include "journal/writer.h"
#include "test/support/memory_disk.h"
#include "test/support/scratch.h"

namespace holdfast::test {

inline const journal::VolumeId bench_volume{{0xb, 0xe, 0xc, 0x4}};

// Small segments, and a background sync that does not come unless a test waits for it.
inline journal::WriterOptions bench_options() {
    journal::WriterOptions options;
    options.segment_bytes = HF_SEGMENT_BYTES_MIN;
    options.journal_bytes_max = 64 * uint64_t{HF_SEGMENT_BYTES_MIN};
    options.sync_interval_ms = 3'600'000;
    return options;
}

// A WRITE whose data says which one it is.
class NumberedWrite {
public:
    NumberedWrite(uint64_t number, size_t bytes) : data_(bytes, std::byte(number)) {
        memcpy(data_.data(), &number, std::min(sizeof number, data_.size()));
        record_.type = HF_WRITE;
        record_.object = {number + 2, 1, 1};
        record_.body = journal::Write{number * 4096, data_};
    }
    const journal::Record& record() const { return record_; }
    uint32_t length() const { return journal::encoded_length(record_.body); }

private:
    std::vector<std::byte> data_;
    journal::Record record_;
};

// The number of a NumberedWrite that was read back, or nothing when its data is not what it was.
inline std::optional<uint64_t> number_of(const journal::Record& record) {
    const auto& body = record.as<journal::Write>();
    const NumberedWrite expected(body.offset / 4096, body.data.size());
    const auto& data = expected.record().as<journal::Write>().data;
    const bool is_same = record.object == expected.record().object && std::equal(data.begin(), data.end(), body.data.begin());
    return is_same ? std::optional<uint64_t>(body.offset / 4096) : std::nullopt;
}

inline journal::Record gap_begin() {
    journal::Record record;
    record.type = HF_GAP_BEGIN;
    record.body = journal::Gap{true, HF_GAP_JOURNAL_FULL, 1, "the journal is full"};
    return record;
}

class JournalBench {
public:
    explicit JournalBench(journal::WriterOptions options = bench_options(), Disk* disk = nullptr)
        : options_(options), disk_(disk ? disk : &memory_) {
        auto table = journal::InflightTable::open(scratch_ / "inflight", bench_volume);
        HF_CHECK(table.has_value());
        table_ = std::move(table).value();
    }

    Status open(const journal::StreamEnd& end = {}) {
        writer_ = HF_TRY(journal::Writer::open(*disk_, *table_, clock_, bench_volume, end, options_));
        return ok();
    }
    void close() { writer_.reset(); }

    Result<journal::Lsn> write(uint64_t number, size_t bytes = 4096) {
        return writer_->append(NumberedWrite(number, bytes).record());
    }
    journal::Reader reader(bool with_table = true) {
        return journal::Reader(*disk_, bench_volume, options_.segment_bytes, with_table ? table_.get() : nullptr);
    }
    // The numbers of all writes that a reader finds from FROM on.
    Result<std::vector<uint64_t>> read_all(bool with_table = true, journal::Lsn from = 0) {
        journal::Reader reader = this->reader(with_table);
        reader.seek(from);
        return numbers_from(reader);
    }
    static Result<std::vector<uint64_t>> numbers_from(journal::Reader& reader) {
        std::vector<uint64_t> numbers;
        while (auto record = HF_TRY(reader.next())) {
            if (record->type != HF_WRITE) continue;
            const auto number = number_of(*record);
            if (!number) return Error{ErrorCode::corrupt, "a write came back changed"};
            numbers.push_back(*number);
        }
        return numbers;
    }

    MemoryDisk& memory() { return memory_; }
    journal::InflightTable& table() { return *table_; }
    journal::Writer& writer() { return *writer_; }
    ManualClock& clock() { return clock_; }
    const journal::WriterOptions& options() const { return options_; }

private:
    ScratchDirectory scratch_;
    MemoryDisk memory_;
    ManualClock clock_{1'790'000'000'000'000'000};
    journal::WriterOptions options_;
    Disk* disk_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Writer> writer_;
};

// 0, 1, ... COUNT - 1.
inline std::vector<uint64_t> first_numbers(uint64_t count) {
    std::vector<uint64_t> numbers(count);
    for (uint64_t i = 0; i < count; ++i) numbers[i] = i;
    return numbers;
}

}  // namespace holdfast::test
