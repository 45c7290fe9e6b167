// A source in the simulator: a journal on a simulated disk, a workload that writes it, and the sender that ships it.
#pragma once

#include <functional>
#include <memory>
#include <random>

#include "journal/segment.h"
#include "replicator/protocol/frame.h"
#include "replicator/protocol/sender.h"
#include "replicator/protocol/stream_reader.h"
#include "test/sim/ledger.h"
#include "test/sim/model_store.h"
#include "test/sim/network.h"
#include "test/support/journal_builder.h"
#include "test/support/memory_disk.h"
#include "test/support/scratch.h"

namespace holdfast::sim {

class SourceHost {
public:
    SourceHost(std::mt19937_64& random, Network& network, Ledger& ledger);

    // An application writes; some of it is synced.
    void work(uint64_t now_ns);
    void sync();
    // The disk keeps what was durable and a random part of the rest; the journal is recovered as in production.
    void lose_power();
    // Forgets segments that the replica has on its disk.
    void release();
    // Forgets what it can, whatever the replica has: an administrator gave up on it.
    void forget_replica();

    void connected(uint64_t now_ns);
    void disconnected() { sender_.reset(); }
    void receive(ByteSpan bytes, uint64_t now_ns);
    void tick(uint64_t now_ns);

    bool has_session() const { return sender_ && !sender_->is_over(); }
    replicator::Lsn published() const { return builder_->end(); }
    test::MemoryDisk& disk() { return *disk_; }
    const journal::VolumeId& volume() const { return volume_; }
    const ModelStore& store() const { return store_; }
    // The last decision of a handshake.
    std::string_view decision() const { return sender_ && sender_->decision() ? sender_->decision()->name : std::string_view(); }

private:
    void carry_out(replicator::Actions actions, uint64_t now_ns);
    void read(const replicator::ReadStream& what, uint64_t now_ns);
    void offer_repair(uint64_t now_ns);
    void answer(ByteSpan question, uint64_t now_ns);
    replicator::Hello greeting();
    void note(replicator::Lsn from);

    std::mt19937_64& random_;
    Network& network_;
    Ledger& ledger_;
    test::ScratchDirectory scratch_;
    std::unique_ptr<test::MemoryDisk> disk_ = std::make_unique<test::MemoryDisk>();
    std::unique_ptr<test::MemoryDisk> cursors_ = std::make_unique<test::MemoryDisk>();
    std::unique_ptr<test::JournalBuilder> builder_;
    journal::VolumeId volume_;
    replicator::Lsn cursor_ = 0;
    replicator::Lsn promised_from_ = 0;  // what lies below was not kept for the replica when this session began
    ModelStore store_;
    ModelStore::Image view_{};  // of the moment that a replica is compared with
    std::vector<journal::StreamEnd::Sealed> uncut_;  // sealed since the last sync

    std::optional<replicator::Sender> sender_;
    std::unique_ptr<replicator::StreamReader> reader_;
    replicator::FrameReader frames_;
};

}  // namespace holdfast::sim
