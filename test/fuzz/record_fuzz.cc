// Arbitrary bytes as a record and as a segment header. Besides not crashing, what decodes must encode to the same
// bytes again: a reader and a writer that disagree would corrupt a journal that is copied.
//
// Each input is tried as it is, and once more with its checksum made right, because otherwise nearly every input would end
// at the checksum and nothing behind it would be tried.

#include <algorithm>
#include <cstddef>

#include "base/check.h"
#include "journal/record.h"
#include "journal/segment.h"
#include "test/fuzz/target.h"
#include "test/support/sample_records.h"

using namespace holdfast;
using namespace holdfast::journal;

namespace {

template <typename Header>
void make_checksum_right(std::vector<std::byte>& bytes, size_t covered) {
    const uint64_t checksum = xxh3_64_without(ByteSpan(bytes).first(covered), offsetof(Header, checksum));
    memcpy(bytes.data() + offsetof(Header, checksum), &checksum, sizeof checksum);
}

void try_record(ByteSpan bytes) {
    hf_record_header header{};
    if (!bytes.empty()) memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
    const auto needed = bytes_to_decode(bytes, header.lsn);
    const auto record = decode_record(bytes, header.lsn);
    if (!record) return;
    HF_CHECK(needed && *needed <= bytes.size());
    HF_CHECK(record->end() == header.lsn + header.length);
    const EncodedRecord again(*record, record->length);
    size_t offset = 0;
    for (ByteSpan piece : again.pieces()) {
        HF_CHECK(offset + piece.size() <= *needed);
        HF_CHECK(std::equal(piece.begin(), piece.end(), bytes.begin() + static_cast<ptrdiff_t>(offset)));
        offset += piece.size();
    }
    HF_CHECK(offset == *needed);
}

void try_header(ByteSpan bytes) {
    const auto header = decode_segment_header(bytes);
    if (!header) return;
    const auto again = encode_segment_header(*header);
    HF_CHECK(std::equal(again.begin(), again.end(), bytes.begin()));
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    std::vector<Input> all;
    for (const Record& record : test::sample_records()) all.push_back(input_of(test::encoded(record)));
    SegmentHeader header;
    header.segment_bytes = HF_SEGMENT_BYTES_DEFAULT;
    all.push_back(input_of(encode_segment_header(header)));
    return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<std::byte> bytes = fuzz::copy_of(data, size);
    try_record(bytes);
    try_header(bytes);
    if (size < sizeof(hf_record_header)) return 0;
    hf_record_header header;
    memcpy(&header, bytes.data(), sizeof header);
    make_checksum_right<hf_record_header>(bytes, std::min<size_t>(size, sizeof header + size_t{header.data_length}));
    try_record(bytes);
    if (size < HF_SEGMENT_HEADER_BYTES) return 0;
    bytes = fuzz::copy_of(data, size);
    make_checksum_right<hf_segment_header>(bytes, HF_SEGMENT_HEADER_BYTES);
    try_header(bytes);
    return 0;
}
