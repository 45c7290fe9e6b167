// The records of a repair that the image may not have on its disk yet: STORE/repair-records. They are no part of any journal, so a
// store that dies in the middle of a repair has them from here.
//
//     file = { u64 magic, u64 address of the first record, u64 address at which the repair ends, records as in a journal }
//
// A record takes repair_record_step addresses, whatever its length: what a repair may use lies between the end of what the replica has
// and the moment that it is made equal to, and the source used them for more than fits in the replica's disk perhaps.
//
// Durability: append() is durable on return. restart() forgets what a checkpoint has made needless; a crash in it leaves either.
// Thread rule: one thread. Ownership: the disk outlives it.
#pragma once

#include <memory>
#include <vector>

#include "base/disk.h"
#include "rewind/apply/batch.h"
#include "rewind/apply/record_stream.h"

namespace holdfast::rewind {

using journal::Lsn;

inline constexpr uint64_t repair_record_step = 8;

class RepairLog final : public RecordStream {
public:
    // Null: there is none. Errors: corrupt, io.
    static Result<std::unique_ptr<RepairLog>> open(Disk& disk);
    // A new one whose first record will be at AT. Durable on return.
    static Result<std::unique_ptr<RepairLog>> begin(Disk& disk, Lsn at, Lsn until);
    static Status remove(Disk& disk);

    // REQUIRES: the records are numbered on from what was appended last, a step each.
    Status append(const Batch& batch);
    Status restart(Lsn at);
    Lsn until() const { return until_; }
    uint64_t bytes() const { return end_; }

    void seek(Lsn lsn) override;
    Lsn position() const override { return position_; }
    Result<std::optional<journal::Record>> next() override;

private:
    RepairLog(Disk& disk, std::unique_ptr<File> file, Lsn first, Lsn until)
        : disk_(disk), file_(std::move(file)), until_(until), first_(first), position_(first) {}

    Disk& disk_;
    std::unique_ptr<File> file_;
    const Lsn until_;
    Lsn first_, position_;
    uint64_t end_ = 0;      // bytes, when appending
    uint64_t read_at_ = 0;  // where position_ lies
    std::vector<std::byte> buffer_;
};

}  // namespace holdfast::rewind
