// One file of the undo log: its name, its header, the chain that its seal carries, and reading it record by record.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "journal/ids.h"
#include "rewind/undo/undo_codec.h"

namespace holdfast::rewind {

inline constexpr uint64_t undo_segment_bytes_min = 64u << 10;  // tests; a record must fit
inline constexpr uint64_t undo_segment_bytes_max = 1u << 30;

// "0000000000000007.undo"
std::string undo_segment_name(uint64_t index);
std::optional<uint64_t> parse_undo_segment_name(std::string_view name);

using ChainHash = std::array<uint8_t, 16>;

// xxh3-128 over the chain before the segment and the checksums of its records so far. Copies are independent.
class UndoChain {
public:
    explicit UndoChain(const ChainHash& before);
    UndoChain(const UndoChain& other);
    UndoChain& operator=(const UndoChain& other);
    UndoChain(UndoChain&&) noexcept;
    UndoChain& operator=(UndoChain&&) noexcept;
    ~UndoChain();

    void add(uint64_t checksum);
    const ChainHash& before() const { return before_; }
    ChainHash after() const;

private:
    struct State;
    ChainHash before_;
    std::unique_ptr<State> state_;
};

// Sets the checksum and writes HEADER at the start of FILE.
Status write_undo_segment_header(File& file, hf_undo_segment_header header);
// Errors: torn (no whole header can have stood here: the file is too short for a record), corrupt, foreign (another
// volume or program), unsupported (newer).
Result<hf_undo_segment_header> read_undo_segment_header(File& file, const journal::VolumeId& volume, uint64_t index);

// Reads the records of FILE from OFFSET to STOP, in order. What it returns borrows until the following call.
// Errors of next(): as of decode_undo; io. Thread rule: one thread.
class UndoSegmentScanner {
public:
    // BASE is the address of the file's first byte.
    UndoSegmentScanner(File& file, UndoAddress base, uint64_t offset, uint64_t stop);
    Result<std::optional<DecodedUndo>> next();  // nothing at STOP
    uint64_t offset() const { return offset_; }  // of what next() will read

private:
    Status fill(size_t bytes);

    File& file_;
    UndoAddress base_;
    uint64_t offset_;
    uint64_t stop_;
    std::vector<std::byte> buffer_;
    uint64_t buffer_start_ = 0;  // offset in the file
    size_t buffer_used_ = 0;
    size_t read_ahead_;
};

}  // namespace holdfast::rewind
