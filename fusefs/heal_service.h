// heal.sock: the capture worker's side of journal/healing.h.
//
// Changes wait at most heal_hold_ms_max for whoever holds them; then its connection is closed, what it took is given back, and they go on.
// One connection at a time; another one is closed without an answer.
// Thread rule: start and destruction from one thread. Ownership: borrows filter and phase, which outlive it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/unix_server.h"
#include "fusefs/filter.h"

namespace holdfast::fusefs {

// Errors: as UnixServer::start(). IS_HEALING says whether a pass is under way.
Result<std::unique_ptr<UnixServer>> serve_healing(UnixListener listener, Filter& filter, const journal::WriterOptions& limits,
                                                  std::atomic<bool>& is_healing);

}  // namespace holdfast::fusefs
