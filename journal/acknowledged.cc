#include "journal/acknowledged.h"

#include <xxhash.h>

#include <algorithm>

namespace holdfast::journal {

std::optional<size_t> AcknowledgedWords::claim(std::string_view peer) {
    const uint64_t name = std::max<uint64_t>(XXH3_64bits(peer.data(), peer.size()), 1);
    for (const bool may_take : {false, true}) {
        for (size_t place = 0; place < acknowledging_replicas_max; ++place) {
            uint64_t owner = replicas[place].peer.load();
            if (owner == 0 && may_take && replicas[place].peer.compare_exchange_strong(owner, name)) return place;
            if (owner == name) return place;
        }
    }
    return std::nullopt;
}

void AcknowledgedWords::release(size_t place) {
    acknowledge(place, 0, 0);
    replicas[place].peer.store(0);
}

void AcknowledgedWords::acknowledge(size_t place, Lsn received, Lsn durable) {
    ReplicaWords& replica = replicas[place];
    if (replica.received.load(std::memory_order_relaxed) == received && replica.durable.load(std::memory_order_relaxed) == durable) return;
    replica.received.store(received);
    replica.durable.store(durable);
    wake.wake();
}

Lsn AcknowledgedWords::acknowledged(DurabilityMode mode, const std::atomic<uint64_t>& published) const {
    Lsn said[acknowledging_replicas_max];
    for (size_t place = 0; place < acknowledging_replicas_max; ++place)
        said[place] = mode == DurabilityMode::sync ? replicas[place].durable.load() : replicas[place].received.load();
    const Lsn limit = published.load();
    Lsn furthest = 0;
    for (const Lsn one : said)
        if (one <= limit) furthest = std::max(furthest, one);
    return furthest;
}

}  // namespace holdfast::journal
