// The in-flight table: what the capture process was doing when it died.
//
// An operation takes an LSN, changes the backing tree, and then its record is written. A process that is
// killed in between leaves a reserved address without a record and a backing tree that may or may not have
// changed. The table closes that hole without a second write to the journal: before an operation touches
// anything its intent is stored in a slot of this table, which lives in a shared mapping of a file in the
// journal directory and therefore survives the process (not the host: after a host crash the backing tree is
// the truth, see docs/decisions/0002). At start, recovery looks at every occupied slot, asks the backing tree
// whether the operation took effect, and writes the record or a VOID at the reserved address.
//
// The slot also keeps the FUSE request it belongs to and the answer, so that a request which the kernel sends
// again after a crash is answered, not executed twice. It stays until the same worker starts its next operation.
//
// The first page holds the words that processes follow of one another: readers the published and durable LSN, the capture
// process what the engine heard from replicas (journal/acknowledged.h), people how it stands with gaps (journal/gap_words.h).
//
// Thread rule: a slot belongs to one worker thread. The shared words are atomics.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/acknowledged.h"
#include "journal/gap_words.h"
#include "journal/ids.h"
#include "journal/shared_wake.h"

namespace holdfast::journal {

inline constexpr uint32_t inflight_slots_max = 64;
inline constexpr size_t inflight_intent_bytes_max = 3584;

struct SharedHead {
    uint64_t magic;
    uint32_t version;
    uint32_t slot_count;
    VolumeId volume;
    uint8_t boot_id[16];               // of the host run that wrote this; other run: contents mean nothing;
                                       // zero: remade, and no record was committed since
    std::atomic<uint64_t> published;   // readers may read records below this address
    std::atomic<uint64_t> durable;     // records below this address survive a power cut
    std::atomic<uint64_t> reserved;    // addresses below this are handed out
    SharedWake wake;                   // of those who wait for published to grow
    std::atomic<uint32_t> clean;       // 1: the writer closed in order
    std::atomic<uint32_t> in_gap;      // 1: operations are not being recorded now
    std::atomic<uint32_t> cuts;        // of an inbound journal: odd while its end is being taken away, another number after; who has
                                       // read by an earlier number begins anew
    AcknowledgedWords acknowledged;    // what replicas have of it, and who waits for that
    GapWords gap;                      // for people; what a successor goes by is in_gap
};

enum class SlotState : uint32_t {
    idle = 0,      // nothing to settle; the answer below is that of `request`
    intent = 1,    // the backing tree may be changing
    recorded = 2,  // the record stands in the journal, the answer may not have been sent
    unrecorded = 3,  // as `intent`, of an operation that is not recorded (a gap): no address belongs to it, `lsn` is the journal's end
};

struct alignas(64) Slot {
    std::atomic<uint32_t> state;  // SlotState, stored last
    uint32_t length;              // of the reserved record
    uint64_t lsn;
    uint64_t request;             // the kernel's unique id of the request, without the resend bit
    int32_t answer_error;         // 0 or errno of the answer given
    uint32_t intent_length;
    uint64_t answer_value;        // operation's own: bytes written, inode made
    std::byte intent[inflight_intent_bytes_max];  // the head of the intended record, encoded, as of before the operation
};

class InflightTable {
public:
    // Maps the file at PATH, making or remaking it when it is absent, of another volume or of another boot;
    // survived() then says that nothing did. A remade table carries no boot id until the writer commits its first
    // record: were it stamped at once, a process killed between the making and the GAP_BEGIN that tells of the host
    // crash would leave a table that claims there was none. Errors: io, no_space.
    static Result<std::unique_ptr<InflightTable>> open(const std::string& path, const VolumeId& volume);
    // For readers: maps what is there, fails with not_found when nothing is, or only that of an earlier boot.
    static Result<std::unique_ptr<InflightTable>> open_existing(const std::string& path);
    ~InflightTable();

    bool survived() const { return survived_; }
    SharedHead& head() { return *head_; }
    std::span<Slot> slots() { return {slots_, inflight_slots_max}; }

    // Blocks until published exceeds KNOWN or TIMEOUT_MS passes; returns published.
    Lsn wait_published(Lsn known, uint32_t timeout_ms) { return wait(&SharedHead::published, known, timeout_ms); }
    // The same for durable, where whoever moves it wakes readers: an inbound journal does.
    Lsn wait_durable(Lsn known, uint32_t timeout_ms) { return wait(&SharedHead::durable, known, timeout_ms); }
    void wake_readers() { head_->wake.wake(); }
    // From here on the table survives the process. For the writer, with its first record.
    void stamp_boot();

private:
    InflightTable() = default;
    void adopt(void* address);
    Lsn wait(std::atomic<uint64_t> SharedHead::*word, Lsn known, uint32_t timeout_ms);

    SharedHead* head_ = nullptr;
    Slot* slots_ = nullptr;
    size_t bytes_ = 0;
    bool survived_ = false;
};

std::array<uint8_t, 16> current_boot_id();

}  // namespace holdfast::journal
