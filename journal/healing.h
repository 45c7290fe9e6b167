// How a gap ends while its volume goes on being used: what the store service asks on heal.sock, and what the capture worker answers
// (docs/decisions/0014).
//
//     stream = { u32 length of the body, u8 verb or answer, 3 zeros, body }          little-endian
//
//     verb       body                          answer
//     state      -                             HealState
//     take       -                             Touched: from now on every change waits, and what was touched until now is the asker's
//     places     TouchedPlace ...              HealOpened: each as a place only (O_PATH); only while changes wait
//     file       a handle                      HealOpened: a regular file for reading, of those that `places` has shown
//     let_go     -                             -: changes go on; what they touch is in the next `take`
//     records    { u32 length, record }        HealAppended: how many of them stand in the journal; the others find no room now
//     done       -                             -: what was taken is repaired
//     end_gap    -                             u64: the address behind GAP_END; only while changes wait, which they then no longer do
//
// The asker reaches nothing of the directory but this: what was touched, and through its descriptors nothing can be changed. The worker opens it, because it
// alone knows what a handle is worth: it noted the objects itself.
//
// An answer is `answered` or `failed` with {u32 code, sentence}. Whoever closes the connection before `done` or `end_gap` gives back what it
// took. The worker closes it when changes waited longer than heal_hold_ms_max: whoever holds them may have died without a word.
//
// Thread rule: values; a HealPipe is used by one thread. Limits: heal_body_bytes_max; heal_records_bytes_max in one `records`;
// heal_places_max in one `places`.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/ids.h"
#include "journal/record.h"

namespace holdfast::journal {

inline constexpr uint32_t heal_body_bytes_max = 512 << 20;
inline constexpr size_t heal_records_bytes_max = 4 << 20;  // more than one record, and little to wait for
inline constexpr size_t heal_places_max = 128;  // descriptors in one message; the kernel takes 253
inline constexpr int heal_hold_ms_max = 10'000;

enum class HealVerb : uint8_t { state = 1, take, let_go, records, done, end_gap, places, file, answered = 64, failed };

struct HealState {
    bool is_paused = false;      // in a gap
    bool is_everything = false;  // what was touched is not known: only a comparison of everything ends this gap
    bool has_room = false;       // in the journal
    Lsn published = 0;
    uint64_t objects = 0;        // touched until now
};

// LENGTH may reach beyond every file: to its end, wherever that is.
struct TouchedRange {
    uint64_t offset = 0, length = 0;
    bool operator==(const TouchedRange&) const = default;
};

// What changes that were not recorded may have changed. Attributes and xattrs always count.
struct TouchedObject {
    ObjectId id;
    std::string handle;                // of the backing tree (base/file_handle.h)
    std::vector<TouchedRange> ranges;  // of a file's bytes; ascending, disjoint
    std::vector<std::string> names;    // in a directory, given or taken
};

struct Touched {
    std::vector<TouchedObject> objects;
    // Everything without a name that somebody has open, touched or not. Directories are not among them.
    std::vector<TouchedObject> nameless;
};

// An object that was touched, or what has one of its touched names now.
struct TouchedPlace {
    static constexpr uint32_t itself = UINT32_MAX;
    uint32_t object = 0;  // counted through the objects of a Touched and on through its nameless ones
    uint32_t name = itself;
    bool operator==(const TouchedPlace&) const = default;
};

// What was asked for, in its order: 0 and the next descriptor, or why there is none, as the system tells it (ENOENT, ESTALE: it is gone).
struct HealOpened {
    std::vector<int32_t> errors;
    std::vector<UniqueFd> descriptors;
    void add(Result<UniqueFd> opened);
};

struct HealAppended {
    Lsn end = 0;           // behind the last record of the journal
    uint64_t records = 0;
};

std::vector<std::byte> encode(const HealState& state);
std::vector<std::byte> encode(const HealAppended& appended);
std::vector<std::byte> encode(const Touched& touched);
std::vector<std::byte> encode(Lsn lsn);
std::vector<std::byte> encode(std::span<const TouchedPlace> places);
std::vector<std::byte> encode(std::span<const int32_t> errors);
// Errors: corrupt.
Result<HealState> decode_heal_state(ByteSpan bytes);
Result<Touched> decode_touched(ByteSpan bytes);
Result<HealAppended> decode_appended(ByteSpan bytes);
Result<Lsn> decode_lsn(ByteSpan bytes);
Result<std::vector<TouchedPlace>> decode_places(ByteSpan bytes);
Result<std::vector<int32_t>> decode_errors(ByteSpan bytes);

// For `records`. REQUIRES: RECORD is encodable.
void add_record(std::vector<std::byte>& body, const Record& record);
// Borrows from BODY. Errors: corrupt.
Result<std::vector<Record>> records_of(ByteSpan body);

class HealPipe {
public:
    struct Message {
        HealVerb verb;
        std::vector<std::byte> body;
        std::vector<UniqueFd> descriptors;
    };

    explicit HealPipe(UniqueFd fd) : fd_(std::move(fd)) {}

    // Errors: unavailable (the other side is gone, or takes nothing for heal_hold_ms_max).
    // REQUIRES: at most heal_places_max DESCRIPTORS.
    Status send(HealVerb verb, ByteSpan body = {}, std::span<const UniqueFd> descriptors = {});
    Status fail(const Error& error);
    // Errors: unavailable (gone, or TIMEOUT_MS passed; -1: no limit), corrupt.
    Result<Message> receive(int timeout_ms);
    // What the other side answers. Errors: those of receive() and of the answer.
    Result<std::vector<std::byte>> ask(HealVerb verb, ByteSpan body, int timeout_ms);
    // The answer to `places` and `file`, of COUNT.
    Result<HealOpened> ask_to_open(HealVerb verb, ByteSpan body, size_t count, int timeout_ms);

private:
    Result<Message> exchange(HealVerb verb, ByteSpan body, int timeout_ms);
    Status read_all(std::byte* into, size_t size, int timeout_ms, std::vector<UniqueFd>& descriptors);

    UniqueFd fd_;
};

}  // namespace holdfast::journal
