// Pairing over a connection: proves the code (trust/pairing.h), then both ends tell their name and address.
// Thread rule: the loop's thread. Lives until DONE, which is called once.
#pragma once

#include <functional>
#include <memory>

#include "replicator/engine/connection.h"
#include "replicator/engine/host.h"
#include "replicator/trust/pairing.h"

namespace holdfast::replicator {

struct Introduced {
    Introduction peer;
    Fingerprint key;
};
using PairDone = std::function<void(Result<Introduced>)>;

// REQUIRES: CONNECTION is established for pairing. SELF is what the other end is told.
void pair_over(Host& host, std::shared_ptr<Connection> connection, PairingSide::Role role, const PairingCode& code, const Introduction& self, PairDone done);

}  // namespace holdfast::replicator
