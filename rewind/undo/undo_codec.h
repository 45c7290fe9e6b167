// Undo records as values and as the bytes of undo_format.h. Nothing here touches a disk.
//
// decode_undo() trusts nothing: every length is checked against the record before it is used.
// Thread rule: pure functions.
#pragma once

#include <vector>

#include "rewind/undo/undo_format.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

// Bytes that RECORD takes in a segment.
size_t encoded_undo_length(const UndoRecord& record);
// Appends RECORD's bytes to OUT and fills in the addresses of RECORD and its items, which will lie at ADDRESS. Returns
// the checksum.
uint64_t encode_undo(UndoRecord& record, UndoAddress address, std::vector<std::byte>& out);

// The record at the start of BYTES, which stands at ADDRESS. Items borrow from BYTES. Errors: torn (nothing whole was
// written here), corrupt (whole by checksum, yet its insides make no sense).
struct DecodedUndo {
    UndoRecord record;
    uint64_t checksum;
    bool is_seal;
    hf_segment_end seal;  // when is_seal
};
Result<DecodedUndo> decode_undo(ByteSpan bytes, UndoAddress address);

// How many bytes the record that begins with BYTES claims to take; 0 when no record can begin so.
size_t claimed_undo_length(ByteSpan bytes);

// One item at the start of BYTES, at ADDRESS; OWNER is its record's object. Sets TAKEN to its bytes with padding.
Result<UndoItem> decode_undo_item(ByteSpan bytes, UndoAddress address, const ObjectId& owner, size_t* taken);
// Whether the checksum of an item fits it. ITEM is the whole of it without padding.
bool undo_item_is_whole(ByteSpan item);
// Bytes in front of an item's name and data: head, object id, own fields. 0 when HEAD is no item's.
size_t undo_item_head_length(const hf_undo_item& head);

// Appends the record that seals a segment and will lie at ADDRESS. LAST has the LSNs of the newest record and the seal's
// own unsynced_bytes.
uint64_t encode_undo_seal(const hf_segment_end& seal, UndoAddress address, const UndoRecord& last,
                          std::vector<std::byte>& out);
inline constexpr size_t undo_seal_bytes = sizeof(hf_undo_record) + sizeof(hf_segment_end);

}  // namespace holdfast::rewind
