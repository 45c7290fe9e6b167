// One run of the simulator: a source and a replica, the same code as in production, on simulated disks, network and clock.
//
// First, in most runs, the replica is filled by comparison. Then a part in which everything goes wrong: connections break in the middle of a frame and come back, bits flip on the way,
// processes die, hosts lose power and with it a random part of what was not synced, disks fill up, a replica that was cut off
// writes on its own, a replica's disks are replaced, a source gives up on a replica and forgets what it needs. Then quiet. At its end the replica must have the source's journal, record by record and byte for byte (but for the times of seals), and its store the source's image.
//
// Held at every moment: nothing is on the replica that nobody wrote; what it acknowledged as durable survives a power loss.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace holdfast::sim {

struct RunReport {
    std::string failure;  // empty: every promise was kept
    std::map<std::string, uint64_t> events;  // what happened how often, the cases of the handshake among it
};

RunReport simulate(uint64_t seed, uint64_t steps);

}  // namespace holdfast::sim
