// Cuts the source's journal into the pieces that a session ships, and names positions in a journal.
// Thread rule: one thread. Disk and table outlive it.
#pragma once

#include <optional>

#include "journal/reader.h"
#include "replicator/protocol/sender.h"

namespace holdfast::replicator {

class StreamReader {
public:
    // TABLE and UNTIL as for journal::Reader.
    StreamReader(Disk& disk, const journal::VolumeId& volume, uint64_t segment_bytes, journal::InflightTable* table,
                 journal::Reader::Until until = journal::Reader::Until::published);

    // Whole records from FROM on until BYTES_MAX are together (so up to one record more), the segment ends, or nothing more is
    // published. Errors: those of journal::Reader::next_raw().
    Result<StreamPiece> read(Lsn from, uint32_t bytes_max);
    // Makes what was read durable: journal::Reader::sync().
    Status sync() { return reader_.sync(); }

private:
    Disk& disk_;
    const journal::VolumeId volume_;
    const uint64_t segment_bytes_;
    journal::Reader reader_;
};

// The last boundary between records at or below AT in the journal on DISK; nothing when it cannot be told, because the segment or the
// chain at its beginning is not kept, or is damaged (a power loss may take anything from segments that no consumer needs).
// REQUIRES: AT is at or below what is published. Errors: foreign, unsupported, io. Reads one segment up to AT.
Result<std::optional<Position>> position_at_or_below(Disk& disk, const journal::VolumeId& volume, uint64_t segment_bytes, Lsn at);

}  // namespace holdfast::replicator
