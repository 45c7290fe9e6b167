// A network in the simulator: one connection at a time between two hosts, two directions, bytes that arrive late, in
// pieces, or never.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "base/disk.h"

namespace holdfast::sim {

enum class Side { source, replica };
inline Side other(Side side) { return side == Side::source ? Side::replica : Side::source; }

struct Arrival {
    uint64_t at_ns;
    std::vector<std::byte> bytes;
};

// Thread rule: one thread. Everything random comes from the caller's generator, so that a seed is a whole story.
class Network {
public:
    explicit Network(std::mt19937_64& random) : random_(random) {}

    void connect() { is_up_ = true, queues_[0].clear(), queues_[1].clear(); }
    void cut() { is_up_ = false; }
    bool is_up() const { return is_up_; }

    // Bit errors that the layers below did not notice, one in so many pieces. Zero: none.
    void set_noise(uint64_t one_in) { noise_ = one_in; }
    // Sent and lost when the connection is cut before they arrive.
    void send(Side from, std::vector<std::byte> bytes, uint64_t now_ns);
    // What has arrived at SIDE by now.
    std::vector<std::vector<std::byte>> arrived(Side side, uint64_t now_ns);
    std::optional<uint64_t> next_arrival() const;

private:
    std::deque<Arrival>& towards(Side side) { return queues_[side == Side::source ? 0 : 1]; }

    std::mt19937_64& random_;
    bool is_up_ = false;
    uint64_t noise_ = 0;
    std::deque<Arrival> queues_[2];
};

}  // namespace holdfast::sim
