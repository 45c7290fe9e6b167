// What this host's engine asks another one on somebody's behalf: `holdfast … --on PEER`, `/on/PEER/v1/status` in its API. The command speaks to its
// local engine alone, so keys stay in there.
//
// Limits: a connection must be there within dial_ns_max and handshake_ns_max; a look is answered within remote_look_ns, anything else within remote_act_ns; an
// answer has at most http_answer_bytes_max.
//
// Thread rule: as it is said at each. Ownership: loop, host and resolver outlive it.
#pragma once

#include <functional>
#include <string>

#include "replicator/engine/host.h"
#include "replicator/engine/http_server.h"
#include "replicator/engine/tunnel.h"
#include "replicator/engine/work.h"

namespace holdfast::replicator {

inline constexpr uint64_t remote_lifetime_ns = 120'000'000'000;
inline constexpr uint64_t remote_look_ns = 15'000'000'000;
// Longer than the other engine itself waits for an answer, shorter than the command waits for this one.
inline constexpr uint64_t remote_act_ns = 92'000'000'000;

struct RemoteEnd {
    UniqueFd socket;
    std::shared_ptr<TunnelFate> fate;
};

// On the loop's thread. DONE is called once, later. Errors: not_found: no such peer; invalid_argument: nobody knows where it is; permission,
// unsupported: what TLS says; unavailable.
void open_remote(Host& host, Work& resolver, const std::string& peer, std::function<void(Result<RemoteEnd>)> done);

// On any other thread; blocks. REQUEST.path is that at PEER's. Errors: unavailable, permission, corrupt.
Result<HttpAnswer> ask_remote(RemoteEnd end, const std::string& peer, const HttpRequest& request);

}  // namespace holdfast::replicator
