// A volume's journal as the engine of its host ships it: greeting, positions, pieces, and the cursor that keeps what the
// replica has not taken yet.
//
// The host may have the volume as its source, or keep a replica of it and send that on. What it sends on is what is durable here, so
// that a power cut never leaves it behind those that it serves. Its own source may send it back to where their histories part; then what was read
// here before means nothing, each call says so, and greeting() begins anew.
//
// The cursor, named after the peer, is made with the first open(), so that from then on the journal forgets nothing that the replica
// needs. Only forget_replica() ends that: a configuration that lost a line must not cost a replica its place.
//
// Thread rule: wait_published() from any one thread, save_cursor() from any one, the rest from one other, but for what says otherwise. Everything here blocks on the disk.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/inflight.h"
#include "journal/segment.h"
#include "journal/volume.h"
#include "replicator/protocol/messages.h"
#include "replicator/protocol/stream_reader.h"

namespace holdfast::replicator {

class SourceJournal {
public:
    // Errors: unavailable when the volume has not been mounted, or the replica not been opened, since the host started, so that nobody
    // says how far its journal may be read; those of the journal.
    static Result<std::unique_ptr<SourceJournal>> open(const journal::Volume& volume, std::string_view peer);

    // Errors: unavailable: the hash chain at the journal's end cannot be told, the replica that is sent on has nothing yet or is going back.
    Result<Hello> greeting();
    Result<std::optional<Position>> position(Lsn at);
    // What it returns of a source's journal need not be durable here, but for half a segment's bytes at most: a replica goes back to where a
    // source that lost its end in a power cut is, and a whole segment is what its journal keeps for that. Errors: those of StreamReader; a
    // failed sync stays one; unavailable: it has gone back.
    Result<StreamPiece> read(Lsn from, uint32_t bytes_max);
    // Something that nobody can have yet: a bookmark for the peer's repair. Returns its address, or nothing where none can be made, because the directory is
    // not protected now or is a replica itself; what is written next is new as well. Errors: those of the capture process.
    Result<std::optional<Lsn>> make_moment();
    struct RepairOffer { RepairBegins point; Hello self; };
    // The replica is made equal to the moment AT: keeps the journal from the segment on that holds it, wherever the cursor was. Durable on
    // return. Errors: not_found: that segment is not kept any more, a later moment may do; unavailable: the hash chain where it begins cannot be told.
    Result<RepairOffer> offer_repair(Lsn at, uint64_t time_ns);
    // Durable on return. HISTORY is history() of when AT was acknowledged: when this host has gone back since, everything is kept. Any one thread.
    Status save_cursor(Lsn at, uint32_t history);
    // Which history the last greeting told. Any thread.
    uint32_t history() const { return cuts_; }
    // How much of the journal's limit is taken by what this replica has not got. Others may need it as well.
    Result<unsigned> kept_percent() const;

    const journal::Volume& volume() const { return volume_; }
    // Where this host's capture process looks for what replicas have. From any thread.
    journal::AcknowledgedWords& acknowledged() const { return table_->head().acknowledged; }

    // How it stands with gaps in which nothing is recorded, and a number that changes whenever that is to be told. Any thread.
    journal::GapReport gap() const { return table_->head().gap.report(); }
    uint64_t gap_state() const {
        const journal::GapReport report = gap();
        return uint64_t{report.changes} << 1 | (report.needs_mount ? 1 : 0);
    }

    // Blocks until there is more to send than up to KNOWN, or time is up.
    Lsn wait_published(Lsn known, uint32_t timeout_ms) { return volume_.is_replica() ? watch_->wait_durable(known, timeout_ms) : watch_->wait_published(known, timeout_ms); }
    // The end of what may be sent.
    Lsn published() const { return volume_.is_replica() ? table_->head().durable.load() : table_->head().published.load(std::memory_order_acquire); }
    // The same as the position that a replica has when it has everything.
    Lsn end() const { return journal::moment_of(published(), volume_.segment_bytes); }
    // What the last greeting told is not this host's history any more. Ask it after published(), whose answer may be from before. Any thread.
    bool has_gone_back() const { return is_over(cuts_); }

private:
    SourceJournal(const journal::Volume& volume, std::string consumer, std::unique_ptr<Disk> disk, std::unique_ptr<Disk> cursors,
                  std::unique_ptr<journal::InflightTable> table, std::unique_ptr<journal::InflightTable> watch);

    bool is_over(uint32_t history) const { return table_->head().cuts.load() != history; }
    Status begin_anew();
    Status check_history() const;
    Result<Lsn> oldest() const;

    const journal::Volume volume_;
    const std::string consumer_;
    const std::unique_ptr<Disk> disk_, cursors_;
    const std::unique_ptr<journal::InflightTable> table_, watch_;  // the same words, mapped once for each thread
    std::unique_ptr<StreamReader> reader_;
    Lsn synced_ = 0;                   // what was read below is durable
    std::atomic<uint32_t> cuts_ = 0;  // of the history that was greeted with
};

// The cursor's name.
std::string replica_consumer(std::string_view peer);
// The peers for whose replicas VOLUME's journal is kept.
Result<std::vector<std::string>> replicas_waited_for(const journal::Volume& volume);
// The journal keeps nothing for PEER's replica any more. Durable on return. Errors: not_found.
Status forget_replica(const journal::Volume& volume, std::string_view peer);

}  // namespace holdfast::replicator
