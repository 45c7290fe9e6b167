// A replica in the simulator: an inbound journal on a simulated disk and the receiver that fills it.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "journal/inbound.h"
#include "replicator/protocol/frame.h"
#include "replicator/protocol/receiver.h"
#include "test/sim/ledger.h"
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

    void connected(uint64_t now_ns);
    void disconnected() { receiver_.reset(), sync_due_ns_.reset(); }
    void receive(ByteSpan bytes, uint64_t now_ns);
    void tick(uint64_t now_ns);
    std::optional<uint64_t> sync_due() const { return sync_due_ns_; }

    bool has_session() const { return receiver_ && !receiver_->is_over(); }
    bool is_streaming() const { return receiver_ && receiver_->is_streaming(); }
    replicator::Lsn durable() const { return inbound_->durable(); }
    test::MemoryDisk& disk() { return *disk_; }

private:
    void open(std::unique_ptr<test::MemoryDisk> disk, replicator::Lsn at_least);
    void carry_out(replicator::Actions actions, uint64_t now_ns);
    void store(const replicator::Records& records, uint64_t now_ns);
    void rewind(replicator::Lsn at, uint64_t now_ns);
    void failed(const Status& status, uint64_t now_ns);
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
};

}  // namespace holdfast::sim
