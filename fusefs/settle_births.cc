// Whether the journal has already told of an object's birth.
#include <algorithm>
#include <cstring>

#include "base/buffer.h"
#include "fusefs/settle.h"
#include "journal/reader.h"

namespace holdfast::fusefs {
namespace {

constexpr size_t chunk_bytes = 4 << 20;


// Headers are followed from record to record; where none stands (an address that was reserved and not filled) the
// search goes on eight bytes further. Only a birth of the very object has its checksum examined.
Result<bool> segment_knows_birth(File& segment, journal::Lsn first, journal::Lsn below, const journal::ObjectId& object) {
    Buffer buffer(std::min<uint64_t>(chunk_bytes + HF_RECORD_BYTES_MAX, below - first));
    uint64_t at = HF_SEGMENT_HEADER_BYTES;
    const uint64_t end = below - first;
    while (at < end) {
        const MutableByteSpan bytes(buffer.data(), std::min<uint64_t>(buffer.size(), end - at));
        const size_t got = HF_TRY(segment.pread(bytes, at));
        if (got < sizeof(hf_record_header)) return false;
        size_t inside = 0;
        while (inside < chunk_bytes && inside + sizeof(hf_record_header) <= got && at + inside < end) {
            hf_record_header header;
            std::memcpy(&header, bytes.data() + inside, sizeof header);
            const bool stands = header.lsn == first + at + inside && header.length >= sizeof header &&
                                header.length <= HF_RECORD_BYTES_MAX && header.length % HF_RECORD_ALIGNMENT == 0;
            if (stands && journal::is_birth(static_cast<hf_record_type>(header.type)) && journal::from_disk(header.object) == object &&
                journal::decode_record(ByteSpan(bytes.data() + inside, got - inside), header.lsn))
                return true;
            inside += stands ? header.length : HF_RECORD_ALIGNMENT;
        }
        at += inside;
    }
    return false;
}

}  // namespace

Result<bool> journal_knows_birth(Disk& journal, uint64_t segment_bytes, const journal::ObjectId& object, journal::Lsn below) {
    const uint64_t last = below / segment_bytes;
    for (uint64_t index = last == 0 ? 0 : last - 1; index <= last; ++index) {
        auto segment = journal.open(journal::segment_name(index), Disk::Open::existing_read_only);
        if (!segment && segment.error().code == ErrorCode::not_found) continue;
        if (!segment) return std::move(segment).error();
        const journal::Lsn first = index * segment_bytes;
        if (HF_TRY(segment_knows_birth(**segment, first, std::min(below, first + segment_bytes), object))) return true;
    }
    return false;
}

}  // namespace holdfast::fusefs
