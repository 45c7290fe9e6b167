// The locks that order what happens to one object, and the records of it, among the filter's threads.
//
// An operation on data or attributes locks its object; an operation on names locks the directories and the objects whose
// names change. Whoever holds the locks takes the journal address, so the order of addresses is the order of effects.
//
// There is a fixed number of them, objects share. Lock order: by the number of the stripe, all of an operation at
// once; the gate (gate.h) before them, nothing of the filter's tables while waiting.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <mutex>

#include "fusefs/filter/node_id.h"

namespace holdfast::fusefs {

class ObjectLocks {
public:
    static constexpr size_t stripes = 1024;
    static constexpr size_t held_max = 4;  // a rename: two directories, two objects

    class Held {
    public:
        Held(ObjectLocks& locks, std::initializer_list<NodeId> nodes) : locks_(locks) {
            for (const NodeId node : nodes)
                if (node != 0) held_[count_++] = stripe_of(node);
            std::sort(held_.begin(), held_.begin() + count_);
            count_ = static_cast<size_t>(std::unique(held_.begin(), held_.begin() + count_) - held_.begin());
            for (size_t i = 0; i < count_; ++i) locks_.mutexes_[held_[i]].lock();
        }
        ~Held() {
            for (size_t i = count_; i-- > 0;) locks_.mutexes_[held_[i]].unlock();
        }
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;

    private:
        ObjectLocks& locks_;
        std::array<size_t, held_max> held_{};
        size_t count_ = 0;
    };

private:
    static size_t stripe_of(NodeId node) { return static_cast<size_t>((node * 0x9e3779b97f4a7c15ULL) >> 54) % stripes; }

    std::array<std::mutex, stripes> mutexes_;
};

}  // namespace holdfast::fusefs
