// Requests that wait for space in the journal (policy `block`). Nothing of them has happened yet; their applications wait,
// while the threads go on serving everybody else, readers above all.
//
// Bound: parked_bytes_max. Beyond it the serving threads wait themselves.
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "base/disk.h"

namespace holdfast::fusefs {

inline constexpr size_t parked_bytes_max = 64 << 20;

class Parked {
public:
    using Bytes = std::vector<std::byte>;

    // False: full.
    bool add(ByteSpan request) {
        std::lock_guard lock(mutex_);
        if (bytes_ + request.size() > parked_bytes_max) return false;
        bytes_ += request.size();
        waiting_.emplace_back(request.begin(), request.end());
        return true;
    }
    void put_back(Bytes request) {
        std::lock_guard lock(mutex_);
        bytes_ += request.size();
        waiting_.push_front(std::move(request));
    }
    bool is_empty() {
        std::lock_guard lock(mutex_);
        return waiting_.empty();
    }
    std::optional<Bytes> take() {
        std::lock_guard lock(mutex_);
        if (waiting_.empty()) return std::nullopt;
        Bytes request = std::move(waiting_.front());
        waiting_.pop_front();
        bytes_ -= request.size();
        return request;
    }
    // The one of which IS_IT(bytes) says so.
    template <typename IsIt>
    std::optional<Bytes> take_if(IsIt is_it) {
        std::lock_guard lock(mutex_);
        for (auto at = waiting_.begin(); at != waiting_.end(); ++at) {
            if (!is_it(ByteSpan(*at))) continue;
            Bytes request = std::move(*at);
            waiting_.erase(at);
            bytes_ -= request.size();
            return request;
        }
        return std::nullopt;
    }

private:
    std::mutex mutex_;
    std::deque<Bytes> waiting_;
    size_t bytes_ = 0;
};

}  // namespace holdfast::fusefs
