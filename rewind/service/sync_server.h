// Answers on sync.sock (sync/sync_pipe.h): tells an engine's replica elsewhere of this store, or makes this store equal to its
// source. One thread for each connection, at most sync_connections_max; one more is closed.
//
// Thread rule: start and destruction from one thread. Ownership: the service outlives the server.
#pragma once

#include <memory>

#include "base/result.h"
#include "base/unix_server.h"

namespace holdfast::rewind {

class Service;

inline constexpr int sync_connections_max = 8;

// Errors: those of UnixServer::start().
Result<std::unique_ptr<UnixServer>> serve_sync(Service& service);

}  // namespace holdfast::rewind
