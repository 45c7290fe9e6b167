// A source's journal that was written and closed, and the shipping of it to an inbound journal as a sender would do it.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "journal/inbound.h"
#include "journal/reader.h"
#include "test/support/journal_bench.h"

namespace holdfast::test {

// Writes of all sizes, operations that failed and writes that turned out short, the same for the same numbers. From the
// record FORK on other data is written, as by a host that went its own way. Every segment is sealed at the end.
class ShippedJournal {
public:
    struct Raw {
        journal::Lsn lsn;
        uint32_t length;
        hf_record_type type;
        std::vector<std::byte> bytes;
        journal::Lsn end() const { return lsn + length; }
    };

    ShippedJournal(uint64_t seed, uint64_t count, size_t bytes_max, uint64_t fork = ~0ULL);

    Disk& disk() { return bench_.memory(); }
    MemoryDisk& memory() { return bench_.memory(); }
    const std::vector<Raw>& records() const { return records_; }
    // All records that begin in [FROM, TO), back to back as they are shipped. REQUIRES: of one segment.
    std::vector<std::byte> bytes(journal::Lsn from, journal::Lsn to) const;
    ByteSpan header(uint64_t index);
    uint64_t segment_count() const { return records_.back().end() / segment_bytes; }
    journal::Lsn end() const { return records_.back().end(); }

    // Sends what comes next: a header, or records of about BATCH_BYTES. False at the end. Errors: the inbound's.
    Result<bool> ship_next(journal::Inbound& inbound, size_t batch_bytes);
    Status ship_all(journal::Inbound& inbound, size_t batch_bytes);
    // The first segment from FIRST on that is not the same file on both disks, or nothing.
    std::string difference(MemoryDisk& replica, uint64_t first = 0);

    static constexpr uint64_t segment_bytes = HF_SEGMENT_BYTES_MIN;

private:
    void write(uint64_t number, uint64_t choice, size_t bytes);

    JournalBench bench_;
    std::vector<Raw> records_;
    hf_segment_header header_;
};

inline Result<std::unique_ptr<journal::Inbound>> open_inbound(Disk& disk, journal::InflightTable* table = nullptr,
                                                              std::string* evidence = nullptr) {
    return journal::Inbound::open(disk, table, bench_volume, ShippedJournal::segment_bytes, evidence);
}

}  // namespace holdfast::test
