// What the replicas of a volume have of its journal, as the engine heard it, for the capture process whose fsyncs wait for it; and
// how that stands, for whoever tells people. Words in the head page of the in-flight table, so they share its fate: of another boot
// or another volume they are zero.
//
//     engine           claim(peer), then acknowledge(place, ...) whenever the replica said more
//     capture process  acknowledged(...) and, while it waits, wake; tells in `state` what it does
//
// An acknowledgement is a fact about the past: that replica had everything below the address. It stays when the engine dies or the
// replica goes; then nothing is added to it, and the volume's policy decides. One that lies above `published` cannot be true and
// counts as none. Two engines that send to the same peer write the same place, each what it heard.
//
// Limits: acknowledging_replicas_max peers; more are not counted.
// Thread rule: any thread of any process. All zeros is the initial state.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "journal/durability.h"
#include "journal/ids.h"
#include "journal/shared_wake.h"

namespace holdfast::journal {

inline constexpr size_t acknowledging_replicas_max = 16;

struct alignas(64) ReplicaWords {
    std::atomic<uint64_t> peer;      // a hash of its name; 0: free
    std::atomic<uint64_t> received;  // in its memory is everything below this address
    std::atomic<uint64_t> durable;   // on its disk
};

// Written by the capture process alone.
struct DurabilityState {
    std::atomic<uint32_t> mode;              // DurabilityMode
    std::atomic<uint32_t> changes;           // odd: alone, no replica answers or has caught up; it grows with every change
    std::atomic<uint64_t> degrade_after_ns;  // 0: fsyncs wait while alone; else they do not
    std::atomic<uint64_t> waiting;           // fsyncs that wait for a replica now

    bool is_alone() const { return changes.load() % 2 != 0; }
    uint32_t times_alone() const { return (changes.load() + 1) / 2; }
    Durability durability() const { return {static_cast<DurabilityMode>(mode.load()), degrade_after_ns.load()}; }
};

struct alignas(64) AcknowledgedWords {
    SharedWake wake;  // of those who wait for acknowledgements
    DurabilityState state;
    ReplicaWords replicas[acknowledging_replicas_max];

    // PEER's place, taken when it has none. Nothing: all are taken.
    std::optional<size_t> claim(std::string_view peer);
    // PLACE is free again, and what stood there counts no more.
    void release(size_t place);
    void acknowledge(size_t place, Lsn received, Lsn durable);

    // The furthest that any replica has, in memory or, for MODE sync, on its disk; only what lies below PUBLISHED, read anew
    // after the acknowledgements, can be true.
    Lsn acknowledged(DurabilityMode mode, const std::atomic<uint64_t>& published) const;
};

}  // namespace holdfast::journal
