// A peer's address as text and as what a socket wants.
// Thread rule: pure, but resolve() asks the system's resolver and blocks.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::replicator {

inline constexpr uint16_t default_port = 4848;

struct SocketAddress {
    sockaddr_storage bytes{};
    socklen_t length = 0;
    const sockaddr& get() const { return reinterpret_cast<const sockaddr&>(bytes); }
};

// "host", "host:port", "[v6]:port". Errors: invalid_argument; not_found: the name leads nowhere now. At least one.
Result<std::vector<SocketAddress>> resolve(const std::string& text, bool for_listening);
// The host's part alone, for counting who comes from where.
std::string host_of(const SocketAddress& address);
Result<UniqueFd> listen_on(const SocketAddress& address);

}  // namespace holdfast::replicator
