// Segment files: their names, headers, seals and the hash chain that binds them.
//
// Segment N holds the addresses [N * segment_bytes, (N + 1) * segment_bytes); an address minus the first of these is a
// place in the file. The header takes the first 4 KiB, records follow, and SEGMENT_END seals the segment: its length
// reaches to the segment's end, while its file is cut behind its payload, so the seal is the last 104 bytes of a
// sealed file and a short session does not keep a whole segment of the disk. (A crash between seal and cut leaves the
// file long; then the seal is found by reading the records.)
//
// Thread rule: pure functions; a ChainHash belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"
#include "journal/record.h"

namespace holdfast::journal {

// "0000000000000007.seg": sixteen hexadecimal digits, so that names sort as numbers do.
std::string segment_name(uint64_t index);
// Nothing for any other spelling, the names of prepared segments included.
std::optional<uint64_t> parse_segment_name(std::string_view name);
// "spare-0000000000000007.new": a file made in advance. It becomes a segment by rename and means nothing before.
std::string spare_name(uint64_t index);
bool is_spare_name(std::string_view name);

inline Lsn segment_begin(uint64_t index, uint64_t segment_bytes) { return index * segment_bytes; }
inline Lsn segment_first_record(uint64_t index, uint64_t segment_bytes) {
    return index * segment_bytes + HF_SEGMENT_HEADER_BYTES;
}
inline Lsn segment_end(uint64_t index, uint64_t segment_bytes) { return (index + 1) * segment_bytes; }
// Where a segment begins and where its first record stands is one moment of the stream: nothing lies between but a header.
// Two addresses are compared by this, the former of the two.
inline Lsn moment_of(Lsn lsn, uint64_t segment_bytes) {
    return lsn % segment_bytes == HF_SEGMENT_HEADER_BYTES ? lsn - HF_SEGMENT_HEADER_BYTES : lsn;
}
inline uint64_t segment_of(Lsn lsn, uint64_t segment_bytes) { return lsn / segment_bytes; }

// A power of two between HF_SEGMENT_BYTES_MIN and HF_SEGMENT_BYTES_MAX.
bool is_segment_size(uint64_t bytes);

struct SegmentHeader {
    VolumeId volume;
    uint64_t index = 0;
    uint64_t segment_bytes = 0;
    uint64_t term = 1;
    uint32_t timeline = 1;
    uint64_t created_ns = 0;
};

std::vector<std::byte> encode_segment_header(const SegmentHeader& header);  // HF_SEGMENT_HEADER_BYTES
// BYTES are the first HF_SEGMENT_HEADER_BYTES of a file, or fewer when it is shorter. Errors: torn (cut off, all
// zeros: never written), foreign (no segment of a journal, or of another volume), unsupported (newer version),
// corrupt (checksum, or values that contradict themselves).
Result<SegmentHeader> decode_segment_header(ByteSpan bytes);
// The same, and the header must be that of segment INDEX of VOLUME. Errors: also corrupt for another index or size.
Result<SegmentHeader> decode_segment_header(ByteSpan bytes, const VolumeId& volume, uint64_t segment_bytes,
                                            uint64_t index);

// The header of segment INDEX as it lies on the disk, checked as above. These 80 bytes and zeros are the whole header
// page, so whoever has them can make a segment file that is the same byte for byte: that is how segments travel.
// Errors: those of decode_segment_header(); io; not_found when the segment is not kept.
Result<hf_segment_header> read_segment_header(File& file, const VolumeId& volume, uint64_t segment_bytes, uint64_t index);
Result<hf_segment_header> read_segment_header(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, uint64_t index);

// The hash chain over the checksums of a segment's records, in the order of their addresses.
class ChainHash {
public:
    using Value = std::array<uint8_t, 16>;

    explicit ChainHash(const Value& before);
    ~ChainHash();
    ChainHash(const ChainHash&);  // so that records can be tried before they are accepted
    ChainHash(ChainHash&&) noexcept;
    ChainHash& operator=(ChainHash&&) noexcept;

    void add(uint64_t checksum);
    const Value& before() const { return before_; }
    Value after() const;
    // The chain at the address behind the last record that was added (journal/chain_at.h). As long as there is none that
    // is the segment's beginning, which is the same moment as the end of the segment before.
    Value here() const { return count_ == 0 ? before_ : after(); }
    uint64_t count() const { return count_; }

private:
    struct State;
    std::unique_ptr<State> state_;
    Value before_{};
    uint64_t count_ = 0;
};

// A chain's value in small files and on sockets: hexadecimal. Errors: corrupt.
std::string to_text(const ChainHash::Value& chain);
Result<ChainHash::Value> parse_chain(std::string_view text);

// The record that seals a segment at LSN. Its length, for encoding, is segment_end - LSN.
Record seal_record(const ChainHash& chain, Lsn lsn, uint64_t time_ns);
// The seal of segment INDEX read from the end of FILE; nothing when none is there. Errors: io.
Result<std::optional<SegmentEnd>> read_seal(File& file, uint64_t index, uint64_t segment_bytes);

}  // namespace holdfast::journal
