// What an engine and a store service of its host say to each other on sync.sock while a replica is compared with its source.
//
//     stream = { u32 length of bytes, u8 part, 3 zeros, bytes }          little-endian
//
// The engine connects and speaks first, a control message: {"role": "serve"} at the source, {"role": "repair", "point": …} at the
// replica. The service at the source answers {"at", "time_ns"}: the moment that it will tell of. When the two are only looked at the replica is
// first, {"role": "compare", "position", "bytes_max"} (comparison.h), its service answers {"at", "time_ns"}, and the source is told
// {"role": "serve", "at"}. From then on messages for the other store pass through both engines, which do not look into them:
//
//     replica's store ⇄ its engine ⇄ the source's engine ⇄ source's store
//
// At the end the replica's service says {"done": evidence} or {"compared": part}; either says {"error": …} instead when it cannot go on. Who closes
// the connection ends the matter. The source answers what it is asked, in the order of the questions, and says nothing else; so who
// asks bounds what lies on the way (sync_under_way_bytes_max).
//
// Limits: sync_message_bytes_max a message; longer ones are an error. Thread rule: an object is used by one thread at a time.
#pragma once

#include <optional>
#include <vector>

#include "base/disk.h"
#include "base/json.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/ids.h"

namespace holdfast::rewind {

inline constexpr size_t sync_message_bytes_max = 2 << 20;
// Answers that were asked for and have not come.
inline constexpr uint64_t sync_under_way_bytes_max = 8 << 20;

enum class SyncPart : uint8_t {
    control = 1,  // JSON, between engine and store service
    peer = 2,     // for the store on the other host
};

struct SyncMessage {
    SyncPart part = SyncPart::control;
    std::vector<std::byte> bytes;
};

std::vector<std::byte> encode_sync_message(SyncPart part, ByteSpan bytes);
std::vector<std::byte> encode_sync_control(const Json& json);
// What a service tells first: {"at", "time_ns"}.
struct SyncMoment { journal::Lsn at; uint64_t time_ns; };
Result<SyncMoment> moment_of(const Json& told);  // Errors: corrupt
Result<Json> control_of(const SyncMessage& message);  // Errors: corrupt, and the error that it tells

// Finds messages in what came in any pieces.
class SyncMessageReader {
public:
    void take(ByteSpan bytes);
    // Nothing: the next one has not come whole. Errors: corrupt; then the connection is of no more use.
    Result<std::optional<SyncMessage>> next();

private:
    std::vector<std::byte> bytes_;
    size_t read_ = 0;
};

// A connection that is read and written by one thread, which waits.
class SyncPipe {
public:
    explicit SyncPipe(UniqueFd socket) : socket_(std::move(socket)) {}

    Status send(SyncPart part, ByteSpan bytes);  // Errors: unavailable when nobody is there any more
    Status send(const Json& control);
    // Errors: unavailable: the other side has closed; corrupt.
    Result<SyncMessage> receive();
    int fd() const { return socket_.get(); }

private:
    Status write(ByteSpan bytes);

    UniqueFd socket_;
    SyncMessageReader reader_;
};

}  // namespace holdfast::rewind
