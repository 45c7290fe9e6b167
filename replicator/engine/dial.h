// Opens a TCP connection to a peer, on the loop, within a time limit.
// Thread rule: the loop's thread.
#pragma once

#include <functional>

#include "replicator/engine/address.h"
#include "replicator/engine/loop.h"

namespace holdfast::replicator {

inline constexpr uint64_t dial_ns_max = 10'000'000'000;

// DONE is called once, later, unless the loop ends before.
void dial(Loop& loop, const SocketAddress& address, std::function<void(Result<UniqueFd>)> done);

}  // namespace holdfast::replicator
