// What the kernel holds of a mount of the past: nodes, and the moments that they belong to.
//
// A node is (moment, object). Its number is also its inode number, so that it can be computed again after the kernel
// forgot the node: tools that remember inode numbers (tar and rsync for hard links, find for loops) stay right.
//
//     bit 63      0: made of the parts below      1: a hash, for objects whose inode does not fit
//     bits 62-40  the moment's slot, 1 to 2^23 - 1
//     bits 39-0   the object's inode on the host where it was born
//
// Within one moment no two objects of one host have the same inode (they were all on one file system then), so hard
// links share a number and nothing else does. Objects that were not born on the volume's first host (origin 1), and
// inodes beyond 40 bits, take 63 bits of a hash; among the nodes that the kernel holds a clash is resolved by hashing
// again.
//
// A moment's slot is a hash of its name and its address, probed further while another living moment has it: the same
// directory @NAME keeps its numbers through forgetting, remounting and restarts, except after such a clash.
//
// Bounds: the table holds what the kernel holds. The kernel gives nodes back (FORGET) under memory pressure and at
// unmount. A moment lives as long as one of its nodes or somebody who pins it.
//
// Thread rule: all methods from any thread; one short lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/mutex.h"
#include "journal/ids.h"
#include "rewind/moment.h"

namespace holdfast::rewind {

// One directory @TEXT at the top of a mount.
struct PastMoment {
    std::string text;
    Lsn lsn = 0;
    uint32_t slot = 0;
    std::atomic<uint64_t> last_used_ns{0};  // monotonic; kept by whoever answers requests
};

struct PastNode {
    std::shared_ptr<PastMoment> moment;
    journal::ObjectId object;
};

class PastNodes {
public:
    static constexpr uint64_t root = 1;  // FUSE_ROOT_ID: the directory that lists the bookmarks

    // The living moment with this text and address, or a new one. Nothing: all slots are taken.
    std::shared_ptr<PastMoment> moment(const std::string& text, Lsn lsn);

    // The number of a node; counts one more reference of the kernel's.
    uint64_t remember(const std::shared_ptr<PastMoment>& moment, const journal::ObjectId& object);
    // The numbers that remember() would give if nothing clashes; they change nothing.
    static uint64_t number_of(const PastMoment& moment, const journal::ObjectId& object);
    static uint64_t number_of_moment(const std::string& text, Lsn lsn);
    void forget(uint64_t number, uint64_t references);
    std::optional<PastNode> find(uint64_t number) const;
    size_t size() const;

private:
    struct Entry {
        PastNode node;
        uint64_t references;
    };
    void forget_dead_moments_locked() HF_REQUIRES(mutex_);

    mutable Mutex mutex_;
    std::unordered_map<uint64_t, Entry> nodes_ HF_GUARDED_BY(mutex_);
    std::unordered_map<uint32_t, std::weak_ptr<PastMoment>> moments_ HF_GUARDED_BY(mutex_);  // by slot
    size_t moments_next_sweep_ HF_GUARDED_BY(mutex_) = 64;
};

}  // namespace holdfast::rewind
