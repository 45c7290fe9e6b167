// What a peer may have this engine do over the network, and what it never may.
//
// A look changes nothing. What is done can be undone by who runs this host. Whom this host trusts is changed on the host itself: whoever could do
// that from elsewhere could make a key of his known that outlives his being revoked.
//
// Thread rule: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace holdfast::replicator {

enum class ControlRight : uint8_t { none, view, operate };
enum class ControlNeed : uint8_t { look, act, trust };

const char* to_string(ControlRight right);
std::optional<ControlRight> parse_control_right(std::string_view text);

// What METHOD needs; CHANGES_TRUST: of the path. Whatever is not a GET acts.
ControlNeed control_need(std::string_view method, bool changes_trust);
// Errors: permission, with what would allow it. PEER is who asks, HOST is this host.
Status check_control(ControlRight right, ControlNeed need, std::string_view peer, std::string_view host);

}  // namespace holdfast::replicator
