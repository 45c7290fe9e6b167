// What a store service and its doorkeeper say to each other: one packet for a question, one for its answer, which may carry a descriptor.
// Both sides are of one program, and the doorkeeper does not trust the other: a packet that makes no sense ends it.
// Thread rule: any thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::rewind {

inline constexpr size_t door_packet_bytes_max = 64 << 10;

// Questions: the first byte of a packet; the rest is their text.
enum DoorQuestion : char {
    door_make_room = 'r', door_listen_store = 's', door_listen_sync = 'y', door_sync_capture = 'c', door_open_healing = 'h', door_take_over = 't', door_mounted_before = 'b',
    door_mount = 'm', door_unmount = 'u', door_detach = 'd', door_forget = 'f', door_bring_in = 'i', door_open_live = 'l', door_let_go = 'g',
    door_process_of = 'p', door_open_viewed = 'o',
};

struct DoorPacket {
    std::string bytes;  // empty: the other side has ended
    UniqueFd fd;
};
// FD -1: none. Errors: io.
Status send_packet(int channel, const std::string& bytes, int fd = -1);
Result<DoorPacket> receive_packet(int channel);

// An answer: parts that have no zero byte, or an error.
std::string encode_answer(const std::vector<std::string>& parts);
std::string encode_answer(const Error& error);
Result<std::vector<std::string>> decode_answer(const std::string& bytes);

}  // namespace holdfast::rewind
