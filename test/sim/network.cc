#include "test/sim/network.h"

#include <algorithm>

namespace holdfast::sim {

void Network::send(Side from, std::vector<std::byte> bytes, uint64_t now_ns) {
    if (!is_up_) return;
    auto& queue = towards(other(from));
    // One connection keeps the order of its bytes.
    uint64_t at_ns = std::max(queue.empty() ? 0 : queue.back().at_ns, now_ns + 100'000 + random_() % 20'000'000);
    for (size_t begin = 0; begin < bytes.size();) {
        const size_t size = std::min<size_t>(bytes.size() - begin, 1 + random_() % (64 << 10));
        std::vector<std::byte> piece(bytes.begin() + static_cast<ptrdiff_t>(begin), bytes.begin() + static_cast<ptrdiff_t>(begin + size));
        if (noise_ != 0 && random_() % noise_ == 0) piece[random_() % size] ^= std::byte(1 << random_() % 8);
        queue.push_back({at_ns, std::move(piece)});
        begin += size;
        at_ns += random_() % 100'000;
    }
}

std::vector<std::vector<std::byte>> Network::arrived(Side side, uint64_t now_ns) {
    std::vector<std::vector<std::byte>> pieces;
    auto& queue = towards(side);
    while (is_up_ && !queue.empty() && queue.front().at_ns <= now_ns) {
        pieces.push_back(std::move(queue.front().bytes));
        queue.pop_front();
    }
    return pieces;
}

std::optional<uint64_t> Network::next_arrival() const {
    std::optional<uint64_t> next;
    for (const auto& queue : queues_)
        if (is_up_ && !queue.empty() && (!next || queue.front().at_ns < *next)) next = queue.front().at_ns;
    return next;
}

}  // namespace holdfast::sim
