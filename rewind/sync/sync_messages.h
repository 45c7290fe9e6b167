// What the store of a replica asks and what the store of its source answers, while the one is made equal to the other. All of
// it is about one moment of the source, and the source keeps to the order of the questions.
//
//     begin     secret of the digests                     u32 sync_version; a source that does not say it speaks version 1
//     catalog   length                                    the next page of the tree: items (catalog.h); the last page says so. With it come
//                                                         the bytes of files of at most so many; version 1 knows 0 alone
//     shared    positions                                 u64: the newest of them that the source's history has as well, if it knows what changed since; 0: none.
//                                                         From then on the catalog says what did not (version 3)
//     digests   object, offset, length                    16 bytes for each chunk of the range (digest.h)
//     bytes     object, offset, length                    a WRITE record for each run of data in the range; the rest are holes
//
// and when the two are only looked at (comparison.h):
//     objects   object                                    digests of those behind it in the order of ids (object_digest.h); the last page says so
//     stretch   object, offset                            a digest of its bytes from there on; nothing when it has none there
//     path      object                                    where it lies; nothing when it has no name
//
// A question that cannot be answered is answered with an error; then the source says nothing more.
//
//     question = { u32 kind, u32 length, u64 offset, object id (16), secret or positions, each { u64, chain (16) } }
//     answer   = { u32 kind, u32 flags, payload }                                        little-endian
//
// Both sides are somebody else's to trust or not: decoding refuses what is out of bounds, with corrupt.
// Thread rule: plain values and pure functions.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/record.h"
#include "rewind/chains.h"

namespace holdfast::rewind {

enum class SyncKind : uint32_t { begin = 1, catalog = 2, digests = 3, bytes = 4, objects = 5, stretch = 6, path = 7, shared = 8 };

inline constexpr uint32_t sync_version = 3;
inline constexpr uint32_t sync_version_with_bytes = 2;  // the first whose catalog comes with the bytes of small files
inline constexpr uint32_t sync_version_with_shared = 3;  // the first that is asked for a shared position
inline constexpr size_t shared_positions_max = 256;
inline constexpr uint32_t sync_secret_bytes = 192;
inline constexpr uint32_t digest_chunk_bytes = 64 << 10;
inline constexpr uint32_t digested_at_once_max = 64 * digest_chunk_bytes;
inline constexpr uint32_t sync_bytes_at_once_max = 1 << 20;
inline constexpr uint32_t small_file_bytes_max = 64 << 10;  // whose bytes may come with the catalog

inline constexpr size_t sync_answer_bytes_max = (2 << 20) - 64;  // of payload; sync_pipe.h takes a little more

using SyncSecret = std::array<std::byte, sync_secret_bytes>;

struct SyncQuestion {
    SyncKind kind = SyncKind::catalog;
    journal::ObjectId object;
    uint64_t offset = 0;
    uint32_t length = 0;
    std::optional<SyncSecret> secret = {};  // with `begin`, and only there
    std::vector<ChainPoint> positions = {};  // with `shared`, and only there: ascending
};
std::vector<std::byte> encode_question(const SyncQuestion& question);
Result<SyncQuestion> decode_question(ByteSpan bytes);

struct SyncAnswer {
    SyncKind kind = SyncKind::catalog;
    bool is_last = false;            // of the pages of the catalog
    std::optional<Error> failure;
    std::vector<std::byte> payload;  // with a failure: its JSON
};
std::vector<std::byte> encode_answer(const SyncAnswer& answer);
Result<SyncAnswer> decode_answer(ByteSpan bytes);

// The answer to `begin`. Errors: corrupt.
SyncAnswer version_answer();
Result<uint32_t> version_of(const SyncAnswer& answer);

// The answer to `shared`. Errors: corrupt.
SyncAnswer shared_answer(journal::Lsn at);
Result<journal::Lsn> shared_of(const SyncAnswer& answer);

// RECORD behind what INTO holds. Its address is the same for all, because what tells them apart is the order.
inline constexpr journal::Lsn sync_record_lsn = 8;
void append_record(journal::Record record, std::vector<std::byte>& into);
// The record that BYTES begin with, and how many of them it takes. It borrows from BYTES. Errors: corrupt.
struct FoundRecord { journal::Record record; size_t bytes; };
Result<FoundRecord> take_record(ByteSpan bytes);

}  // namespace holdfast::rewind
