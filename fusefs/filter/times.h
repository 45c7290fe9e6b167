// Modification times that changed with the data or the entries of an object, and are not in the journal yet.
//
// Records of data do not carry times. The real value is recorded (SETATTR) when a file is flushed, synced or released, for
// everything else when it has been idle for a second, and for all of it before a bookmark and at the end: then image and
// backing tree agree.
//
// Bound: one entry per directory (or released file) changed within the last second.
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "fusefs/filter/node_id.h"

namespace holdfast::fusefs {

inline constexpr uint64_t idle_ns = 1'000'000'000;

class Times {
public:
    // OBJECT changed at NOW_NS (monotonic).
    void note(const ObjectName& object, uint64_t now_ns) {
        std::lock_guard lock(mutex_);
        changed_[object.node] = {object.id, now_ns};
    }
    void forget(NodeId node) {
        std::lock_guard lock(mutex_);
        changed_.erase(node);
    }
    // Takes what did not change since BEFORE_NS.
    std::vector<ObjectName> take_idle(uint64_t before_ns) {
        std::lock_guard lock(mutex_);
        std::vector<ObjectName> idle;
        for (auto at = changed_.begin(); at != changed_.end();) {
            if (at->second.at_ns > before_ns) {
                ++at;
                continue;
            }
            idle.push_back({at->first, at->second.id});
            at = changed_.erase(at);
        }
        return idle;
    }

private:
    struct Change {
        journal::ObjectId id;
        uint64_t at_ns = 0;
    };
    std::mutex mutex_;
    std::unordered_map<NodeId, Change> changed_;
};

}  // namespace holdfast::fusefs
