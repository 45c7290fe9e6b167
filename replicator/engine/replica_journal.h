// A replica's side of one volume on the disk: the store, its inbound journal, the term, and what a repair left to do.
//
// The mark of a repair (rewind/sync/repair_mark.h) is looked at when it is opened and with each greeting. One that is not complete makes the
// greeting say that the image is unsound. One that is complete makes the journal begin anew, once in the life of this object; it goes when
// the journal holds something again, before any of that is told as durable. docs/inbound_journal.md goes through the crashes.
//
// Thread rule: one thread; everything here blocks on the disk. What is durable when: journal/inbound.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/inbound.h"
#include "journal/volume.h"
#include "replicator/protocol/messages.h"
#include "rewind/sync/repair_mark.h"

namespace holdfast::replicator {

class ReplicaJournal {
public:
    // Makes the store when there is none. A journal that is damaged and of which a repair is wanted is given up; otherwise it is refused. Errors: foreign
    // (the store is another volume's, or a source's), those of journal::Inbound.
    static Result<std::unique_ptr<ReplicaJournal>> open(const std::string& store, const journal::VolumeId& volume, uint64_t segment_bytes);

    const journal::Volume& volume() const { return volume_; }
    // The highest term that was heard of.
    uint64_t term() const { return term_; }
    Status persist_term(uint64_t term);  // durable on return

    // Makes everything received durable, and says where the stream goes on.
    Result<Hello> greeting();
    // The store has made the image equal to the source's at AT: begins the journal anew, and greets. Errors: corrupt: the mark does not say so.
    Result<Hello> repaired(Lsn at);
    // The next greeting says that the image is no moment of the source's. Durable on return. Errors: busy: a repair has just ended.
    Status want_repair();
    // The same of a STORE that open() refused.
    static Status want_repair(const std::string& store);
    // The repair after which the journal was begun anew in the life of this object.
    const std::optional<rewind::RepairPoint>& begun_anew() const { return begun_anew_; }
    // Makes everything received durable. Returns how far that is. Errors: io.
    Result<Lsn> sync();
    // The same in two steps, between which more may be appended (journal::Inbound). Null: only sync() will do.
    std::shared_ptr<journal::Inbound::BegunSync> begin_sync() { return mark_ ? nullptr : inbound_->begin_sync(); }
    Result<Lsn> end_sync();
    Result<std::optional<Position>> position(Lsn at);
    journal::Inbound& inbound() { return *inbound_; }
    // Goes back to AT, where the source's history parted from this one: first the journal from there on is kept in STORE/discarded (I7),
    // then the store is taken back by a process of its own, and the journal is cut last. A crash in between leaves what the next
    // session sends back again. Durable on return. REQUIRES: the store service does not run. Errors: not_found (AT lies before
    // the window), no_space, io; nothing is lost then.
    Status take_back(Lsn at);
    // This replica is sent on to PEERS: for those that have no place in the journal yet it keeps what there is. Durable on return.
    Status keep_for(const std::vector<std::string>& peers);
    // Deletes segments that the store has applied and made durable, and that nobody needs to whom they are sent on. Errors: io.
    Status release();

private:
    Status drop_header();
    Status settle_repair();
    Status drop_mark();
    Status open_inbound();
    Status with_store_held(const std::function<Status()>& change);
    Status keep_aside(Lsn at);
    Status lower_cursors();

    explicit ReplicaJournal(const journal::Volume& volume) : volume_(volume) {}

    const journal::Volume volume_;
    std::unique_ptr<Disk> store_, disk_, cursors_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Inbound> inbound_;
    std::optional<rewind::RepairMark> mark_;  // as it was when it was looked at last
    std::optional<rewind::RepairPoint> begun_anew_;
    uint64_t term_ = 1;
};

}  // namespace holdfast::replicator
