// A replica in the simulator: an inbound journal on a simulated disk, the receiver that fills it, and a store that follows. What an engine
// does around a repair (replicator/engine/replica_journal.h) is done here as it is there.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "journal/inbound.h"
#include "replicator/protocol/frame.h"
#include "replicator/protocol/receiver.h"
#include "rewind/sync/repair_mark.h"
#include "test/sim/ledger.h"
#include "test/sim/model_store.h"
#include "test/sim/network.h"
#include "test/support/memory_disk.h"

namespace holdfast::sim {

class ReplicaHost {
public:
    ReplicaHost(std::mt19937_64& random, Network& network, Ledger& ledger, const journal::VolumeId& volume);

    void kill();        // the process dies, the host lives
    void lose_power();
    // Records of its own at its end, as if it had been promoted while nobody was connected: a fork.
    void diverge();
    void fill_disk();
    void empty_disk();
    void lose_disks();  // somebody replaces them

    void connected(uint64_t now_ns);
    void disconnected() { receiver_.reset(), sync_due_ns_.reset(); }
    // Has the store take in everything that is durable.
    void catch_up();
    void receive(ByteSpan bytes, uint64_t now_ns);
    void tick(uint64_t now_ns);
    std::optional<uint64_t> sync_due() const { return sync_due_ns_; }

    bool has_session() const { return receiver_ && !receiver_->is_over(); }
    bool is_streaming() const { return receiver_ && receiver_->is_streaming(); }
    replicator::Lsn durable() const { return inbound_->durable(); }
    test::MemoryDisk& disk() { return *disk_; }
    const ModelStore& store() const { return store_; }
    uint64_t repairs() const { return repairs_; }

private:
    void open(std::unique_ptr<test::MemoryDisk> disk, replicator::Lsn at_least);
    void carry_out(replicator::Actions actions, uint64_t now_ns);
    void store(const replicator::Records& records, uint64_t now_ns);
    void rewind(replicator::Lsn at, uint64_t now_ns);
    void failed(const Status& status, uint64_t now_ns);
    replicator::Lsn survives(bool is_power_lost) const;
    bool crashes();

    void begin_repair(const replicator::RepairBegins& begins, uint64_t now_ns);
    void ask(size_t part, uint64_t now_ns);
    void take_answer(ByteSpan answer, uint64_t now_ns);
    void end_repair(uint64_t now_ns);
    Status settle_repair();
    void drop_mark();
    replicator::Hello greeting();

    std::mt19937_64& random_;
    Network& network_;
    Ledger& ledger_;
    const journal::VolumeId volume_;
    std::unique_ptr<test::MemoryDisk> disk_ = std::make_unique<test::MemoryDisk>();
    std::unique_ptr<journal::Inbound> inbound_;
    std::optional<replicator::Receiver> receiver_;
    replicator::FrameReader frames_;
    std::optional<uint64_t> sync_due_ns_;

    ModelStore store_;
    std::optional<rewind::RepairMark> mark_;
    std::optional<rewind::RepairPoint> begun_anew_;
    replicator::Lsn promised_ = 0;  // told to the source as durable
    uint64_t repairs_ = 0;
};

}  // namespace holdfast::sim
