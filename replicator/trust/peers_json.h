// The list of peers as text, and back. Strict both ways: what this version does not know is refused, not ignored, because
// an ignored member may have been the one that takes trust away.
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "replicator/trust/peers.h"

namespace holdfast::replicator {

inline constexpr unsigned peers_version = 1;

std::string peers_to_json(const std::vector<Peer>& peers);
// Only the form is checked; names, limits and doubles are for Peers::add. Errors: corrupt, unsupported.
Result<std::vector<Peer>> peers_from_json(std::string_view text);

}  // namespace holdfast::replicator
