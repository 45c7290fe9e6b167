// An inbound journal: the journal of a source, kept on a replica, the same bytes at the same addresses in the same files.
//
// It has no records of its own. Segment headers and written records come from the source (Reader::next_raw(),
// read_segment_header()), are checked, and are written where the source has them, so that a sealed segment is the same
// file on both hosts and Reader, chain_at(), verification and the rewind store work on it unchanged.
//
//     received() at a segment's beginning:   begin_segment(header)      then received() is its first record's address
//     otherwise:                             append(records)            records back to back, from received() on
//     now and then:                          sync()                     then durable() == received()
//     or, while more comes in:               begin_sync(), end_sync()   then what was received at the beginning is durable
//
// Durability: append() reaches the page cache and so survives the process; readers may read it at once. What is below
// durable() survives a power cut. A segment is completely durable, its name too, before the next one is begun, so
// after a power cut only the newest segment can be incomplete (docs/inbound_journal.md goes through the crashes). A failed
// sync is final: the pages are clean and the data is not there. The object is fenced then, every later change fails with
// io, and only a new open() finds out what is kept. Nothing is synced at the end: what matters was synced before.
//
// Trust: headers and records come from a peer who may be hostile or mad. All of a batch is checked before any of it is
// written, and a batch that is refused changes nothing. What no check can see, a whole record that is not the source's,
// is found by the chain when the segment is sealed.
//
// Limits: a batch is at most inbound_batch_bytes_max and ends at or before the end of a segment. Of a journal that begins in
// the middle (any index may come first) the chain at its beginning is taken on trust from its first seal, unless restart() or a seal that
// was cut off said it.
//
// Readers beside the store's, which ship this journal on, are not held while its end is cut: the table's word `cuts` is odd
// meanwhile and another one after, so that they drop what they read by the old one and begin anew.
//
// Thread rule: one thread; readers in other processes follow the table's words. Ownership: disk and table outlive it.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/disk.h"
#include "base/result.h"
#include "journal/beginning.h"
#include "journal/ids.h"
#include "journal/inflight.h"
#include "journal/segment.h"

namespace holdfast::journal {

inline constexpr size_t inbound_batch_bytes_max = 4 << 20;

struct InboundBatch;
class SegmentWalk;

class Inbound {
public:
    // A sync that was begun. run() blocks until the disk has answered, whoever calls it, and any thread may.
    class BegunSync {
    public:
        BegunSync(std::shared_ptr<File> file, Lsn until) : until_(until), file_(std::move(file)) {}
        const Status& run() {
            std::call_once(once_, [this] { done_ = file_->sync(); });
            return done_;
        }
        Lsn until() const { return until_; }

    private:
        const Lsn until_;
        const std::shared_ptr<File> file_;
        std::once_flag once_;
        Status done_;
    };

    // Finds the end of the whole records. In the newest segment what is torn behind them is cut off, and a newest file
    // without a header is removed: the source sends both again. Older segments are judged by header, seal and chain;
    // damage there is not for this function to repair, and nothing is changed then. All that is kept is durable on
    // return. TABLE may be null; otherwise its head says from here on what readers may read. EVIDENCE, when not null, says
    // what was examined, cut and kept, also when open() fails.
    // Errors: corrupt (damage before the newest segment, a number missing, a chain that does not go on), foreign,
    // unsupported, io, no_space; invalid_argument for an impossible segment size.
    static Result<std::unique_ptr<Inbound>> open(Disk& disk, InflightTable* table, const VolumeId& volume,
                                                 uint64_t segment_bytes, std::string* evidence);
    ~Inbound();
    // Of a journal that open() refuses as damaged, and whose image is made equal to the source's by other means: every segment goes, and what
    // was known of the beginning. Durable on return, may be repeated after a crash, and the same holds for who reads this journal as with
    // restart(). Errors: io.
    static Status give_up(Disk& disk);

    // Nothing is kept and nothing is known of where it begins; then any segment may come.
    bool is_empty() const { return segments_.empty() && !beginning_; }
    // Where the oldest segment begins, or where the first one is to begin after restart(). Zero when it is empty.
    Lsn begin() const;
    // As restart() was told, while the journal begins there.
    const std::optional<Beginning>& beginning() const { return beginning_; }
    // The address of what is to come next: a segment's beginning when a header must come first, else a record's. Zero when
    // it is empty.
    Lsn received() const { return received_; }
    Lsn durable() const { return durable_; }

    // Begins the segment that received() stands at, with the struct hf_segment_header of the source's, which is kept as it
    // is. Makes everything before it durable first. Errors: corrupt, foreign, unsupported (the header is not that of the
    // wanted segment); invalid_argument (it is no time for a header); io; no_space, which may be tried again.
    Status begin_segment(ByteSpan header);
    // Whole written records, back to back, from received() on; SEGMENT_END may only be the last. Errors: corrupt (they are
    // not that, or the seal says that the source's history is not the one kept here), unsupported (a newer source's kind
    // of record), invalid_argument (too long, or a header is to come first), io; no_space, which may be tried again.
    // After any error nothing of the batch is kept.
    Status append(ByteSpan records);
    // Everything received is durable on return. Errors: io, and the object is fenced.
    Status sync();
    // The same while more is appended: the caller has it run by another thread and calls end_sync() afterwards, which makes what was received
    // at the beginning durable. Whatever else needs to know how it went runs it itself, or waits for it. Null when sync() is to be
    // used: one is under way, nothing is to be synced, or a name is, which must be before anything else is done.
    std::shared_ptr<BegunSync> begin_sync();
    // Errors: io, and the object is fenced.
    Status end_sync();

    // As journal::chain_at(). At received() also when the disk alone does not tell any more.
    Result<ChainHash::Value> chain_at(Lsn at);

    // Forgets everything from AT on, which the caller has kept elsewhere when it matters: this history is not the
    // source's. Durable on return, and may be repeated after a crash. received() is AT then; the beginning of the
    // segment when AT is the address of its first record, because the header may be another's too; and zero when
    // nothing is left and the chain there is not known. Who reads this journal must stop before and begin with a new Reader after, since a Reader may
    // hold what was forgotten. Errors: not_found when AT is not in what is kept or no boundary of records, and then
    // nothing is changed; corrupt, io; when it fails half way the object is fenced.
    Status cut(Lsn at);
    // Forgets everything, because the image was made equal to the source's by other means, and begins anew: received() is BEGINNING.lsn then,
    // and the chain there is known. Durable on return; to be repeated after a crash. Who reads this journal stops before and begins with a
    // new Reader at or above the beginning. Errors: io, no_space, and the object is fenced. REQUIRES: a segment begins at BEGINNING.lsn and
    // holds BEGINNING.equal_at.
    Status restart(const Beginning& beginning);
    // Deletes whole segments below LSN, oldest first, but never the newest one that is sealed and durable: the chain goes on
    // from its seal, and a replica that lost its tail in a power cut must know where it stands. Errors: io.
    Status release_below(Lsn lsn);

    bool is_fenced() const { return fence_.has_value(); }

private:
    Inbound(Disk& disk, InflightTable* table, const VolumeId& volume, uint64_t segment_bytes);

    // inbound.cc: what comes in.
    Status write_batch(const InboundBatch& batch);
    Result<ChainHash> chain_of_unknown_beginning(const ChainHash::Value& before) const;
    Result<std::unique_ptr<File>> make_segment_file(uint64_t index, ByteSpan header_page);
    Status forget_unwritten(const Error& failure);

    // inbound_open.cc: what is there.
    Status take_stock(std::string& evidence);
    Status judge_older(uint64_t index, std::optional<ChainHash::Value>& chain);
    Status adopt_newest(std::optional<ChainHash::Value> before, std::string& evidence);
    Status drop_headless(const std::optional<ChainHash::Value>& before, const Error& why, std::string& evidence);
    Status cut_torn_tail(SegmentWalk& walk, std::string& evidence);
    Status make_kept_durable();

    // inbound_cut.cc: what goes.
    Result<std::optional<ChainHash::Value>> chain_before(uint64_t index);
    Result<std::optional<ChainHash>> chain_up_to(Lsn at, const std::optional<ChainHash::Value>& before);
    Status drop_from(Lsn at);
    Status shorten_newest();
    Status remove_durably(uint64_t index);

    // inbound_restart.cc: beginning anew.
    Status forget_all();
    void stand_at_beginning();
    std::optional<ChainHash::Value> chain_known_before(uint64_t index) const;
    Status keep_beginning(const Beginning& beginning);
    Status drop_outlived_beginning();

    void publish();
    void announce_cut();
    void announce_cut_done();
    Status fence(const Error& error);
    Error fence_error() const;
    bool is_beginning(Lsn lsn) const { return lsn % segment_bytes_ == 0; }
    uint64_t place_in_newest(Lsn lsn) const;

    Disk& disk_;
    InflightTable* const table_;
    const VolumeId volume_;
    const uint64_t segment_bytes_;

    // Invariants: beginning_ is that of the oldest segment, or nothing is kept; segments_ are the indexes on the disk, without a hole, in order; the newest holds received(), or ends
    // there; file_ is the newest one's. durable_ <= received_, and all but the newest segment are below durable_.
    // is_sealed_ or segments_ empty: received_ is a segment's beginning.
    std::optional<Beginning> beginning_;
    std::deque<uint64_t> segments_;
    std::shared_ptr<File> file_;
    std::shared_ptr<BegunSync> begun_sync_;  // of file_
    bool is_sealed_ = false;        // the newest
    bool has_unsynced_name_ = false;
    Lsn received_ = 0;
    Lsn durable_ = 0;
    std::optional<ChainHash> chain_;  // up to received_; nothing while the segment's beginning is not known
    std::optional<Error> fence_;
};

}  // namespace holdfast::journal
