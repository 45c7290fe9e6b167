// Journals written by hand, byte for byte as a writer that dies at a chosen point leaves them.
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "journal/record.h"
#include "journal/segment.h"
#include "journal/writer.h"

namespace holdfast::test {

class JournalBuilder {
public:
    static constexpr uint64_t segment_bytes = HF_SEGMENT_BYTES_MIN;

    explicit JournalBuilder(Disk& disk, uint64_t first_segment = 0);
    // Goes on with a journal that ends at END.
    JournalBuilder(Disk& disk, const journal::VolumeId& volume, const journal::StreamEnd& end);

    // Each returns the address of what it added.
    journal::Lsn add(journal::Record record);
    journal::Lsn add_write(size_t bytes, char fill = 'w');
    journal::Lsn add_session(bool open, bool clean);
    journal::Lsn hole(uint64_t bytes);  // reserved, never written
    void seal();                        // and begins the next segment
    void seal_uncut();                  // the same, as long as nothing was synced: the file keeps its full length
    void leave_unsealed();              // begins the next segment
    void finish();                      // seals, begins nothing

    journal::Lsn end() const { return end_; }
    uint64_t segment() const { return segment_; }
    std::string segment_file() const { return journal::segment_name(segment_); }

    Disk& disk;
    journal::VolumeId volume;
    uint64_t time_ns = 1'000'000'000;  // of the next record; a millisecond later each time

private:
    void begin_segment();
    void write_seal();

    uint64_t segment_ = 0;
    journal::Lsn end_ = 0;
    std::unique_ptr<File> file_;
    journal::ChainHash chain_{journal::ChainHash::Value{}};
};

// The types of all records from the first segment on, seals included, until something is not whole.
struct StreamRecord {
    journal::Lsn lsn;
    uint32_t length;
    hf_record_type type;
    bool operator==(const StreamRecord&) const = default;
};
std::vector<StreamRecord> records_of(Disk& disk, const journal::VolumeId& volume, uint64_t segment_bytes);

// XORs one byte of a file, writes zeros over a range of it, or fills it with bytes that are no record.
void flip(Disk& disk, const std::string& name, uint64_t offset);
void overwrite(Disk& disk, const std::string& name, uint64_t offset, size_t bytes, char fill);

}  // namespace holdfast::test
