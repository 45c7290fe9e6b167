// The payload of each message: fixed structures of wire_format.h, then what has no fixed length.
// Private to replicator/protocol/frame.cc and its tests. Thread rule: pure functions.
#pragma once

#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

// Appends the payload to OUT and returns the frame's type.
hf_frame_type encode_payload(const Message& message, std::vector<std::byte>& out);
// Errors: corrupt with a sentence; unsupported for a type that this version does not know.
Result<Message> decode_payload(uint16_t type, ByteSpan payload);

}  // namespace holdfast::replicator
