// Arbitrary bytes as an undo record, as they are and with the record's checksum made right. What decodes must encode to what
// decodes to the same. Not to the same bytes: the checksums of the items lie under the record's, and are only looked at where an
// item is read alone.

#include <algorithm>

#include "base/check.h"
#include "rewind/undo/undo_codec.h"
#include "test/fuzz/target.h"
#include "test/rewind/undo_samples.h"

using namespace holdfast;
using namespace holdfast::rewind;

namespace {

constexpr UndoAddress address = 4096;

bool is_same_item(const UndoItem& a, const UndoItem& b) {
    return a.kind == b.kind && a.object == b.object && a.offset == b.offset && a.length == b.length && a.name == b.name && a.other == b.other &&
           std::equal(a.data.begin(), a.data.end(), b.data.begin(), b.data.end()) && a.present == b.present && a.attributes == b.attributes;
}

bool is_same(const UndoRecord& a, const UndoRecord& b) {
    return a.lsn == b.lsn && a.end_lsn == b.end_lsn && a.time_ns == b.time_ns && a.type == b.type && a.flags == b.flags && a.object == b.object &&
           a.continued == b.continued && a.exchange == b.exchange && a.unsynced_bytes == b.unsynced_bytes &&
           std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), is_same_item);
}

void try_items(ByteSpan bytes, const journal::ObjectId& owner) {
    size_t taken = 0;
    if (const auto item = decode_undo_item(bytes, address, owner, &taken)) HF_CHECK(taken <= bytes.size());
    (void)undo_item_is_whole(bytes);
}

void try_record(ByteSpan bytes) {
    const size_t claimed = claimed_undo_length(bytes);
    auto decoded = decode_undo(bytes, address);
    if (!decoded) return;
    HF_CHECK(claimed != 0 && claimed <= bytes.size());
    HF_CHECK(decoded->record.end - decoded->record.address == claimed);
    if (decoded->is_seal) return;
    UndoRecord record = decoded->record;
    std::vector<std::byte> bytes_again;
    encode_undo(record, address, bytes_again);
    HF_CHECK(encoded_undo_length(record) == bytes_again.size());
    const auto again = decode_undo(bytes_again, address);
    HF_CHECK(again && !again->is_seal);
    HF_CHECK(is_same(again->record, decoded->record));
}

void make_right(std::vector<std::byte>& bytes) {
    hf_undo_record head;
    memcpy(&head, bytes.data(), sizeof head);
    const size_t length = std::clamp<size_t>(head.length, sizeof head, bytes.size());
    const uint64_t checksum = journal::xxh3_64_without(ByteSpan(bytes).first(length), offsetof(hf_undo_record, checksum)) ^ journal::xxh3_64(bytes_of(address));
    memcpy(bytes.data() + offsetof(hf_undo_record, checksum), &checksum, sizeof checksum);
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    const journal::ObjectId file{4711, 9, 1}, other{12, 3, 4};
    test::UndoSamples samples;
    UndoRecord record = samples.record(HF_RENAME, file,
                                       {samples.data(file, 5, "bytes"), samples.hole(other, 4096, 1ULL << 40), samples.dirent(other, "name", file),
                                        samples.attributes(file, {1, 2, 3, 4, 5, 6, -7, 8, 9}), samples.xattr(file, "user.x", true, "v"),
                                        samples.xattr(other, "user.y", false, ""), samples.plain(UndoKind::birth, file),
                                        samples.plain(UndoKind::death, other), samples.event("payload")});
    std::vector<std::byte> all, one, seal;
    encode_undo(record, address, all);
    UndoRecord small = samples.record(HF_WRITE, file, {samples.data(file, 0, "x")});
    encode_undo(small, address, one);
    encode_undo_seal(hf_segment_end{}, address, small, seal);
    return {input_of(all), input_of(one), input_of(seal)};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<std::byte> bytes = fuzz::copy_of(data, size);
    try_record(bytes);
    if (size < sizeof(hf_undo_record)) return 0;
    try_items(ByteSpan(bytes).subspan(sizeof(hf_undo_record)), {1, 2, 3});
    make_right(bytes);
    try_record(bytes);
    return 0;
}
