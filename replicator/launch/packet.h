// Messages between the launcher and the engine: a datagram of text with descriptors, over a SOCK_SEQPACKET pair.
// Thread rule: one thread at a time for each end and direction.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::replicator {

inline constexpr size_t packet_bytes_max = 128 << 10;
inline constexpr size_t packet_fds_max = 4;

struct Packet {
    std::string text;
    std::vector<UniqueFd> fds;
};

struct PacketEnds { UniqueFd first, second; };
Result<PacketEnds> packet_ends();

// Errors: invalid_argument (longer than packet_bytes_max), unavailable (nobody is at the other end).
Status send_packet(int end, std::string_view text, const std::vector<int>& fds = {});
// Waits. Errors: unavailable (the other end is closed), invalid_argument (more than was agreed), io.
Result<Packet> receive_packet(int end);

}  // namespace holdfast::replicator
