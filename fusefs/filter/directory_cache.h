// The directories that a thread used last, as descriptors: resolving a name needs its directory, and opening one by
// handle for every name would double the system calls.
//
// Only directories: a descriptor of a deleted file would keep its blocks. What is kept of a directory is found by its
// node, which no other object ever gets, so an entry cannot go stale; that of a removed directory is pushed out in time.
//
// Thread rule: one object per thread. A descriptor is good until the next call that does not name it as kept.
#pragma once

#include <array>

#include "base/result.h"
#include "fusefs/filter/node_id.h"
#include "fusefs/filter/orphans.h"

namespace holdfast::fusefs {

class DirectoryCache {
public:
    static constexpr size_t entries_max = 128;

    // An O_PATH descriptor. KEPT: a directory whose descriptor must stay good as well. Errors: ENOENT, ESTALE.
    Result<int> get(const NodeIds& ids, const Orphans& orphans, NodeId node, NodeId kept = 0);

    // How much room what is born in NODE may need for attributes that it inherits: known to be BYTES as of EPOCH.
    struct Inherited {
        uint64_t epoch = 0;
        uint32_t bytes = 0;
    };
    Inherited& inherited(NodeId node) { return entries_[slot_of(node)].inherited; }

private:
    struct Entry {
        NodeId node = 0;
        UniqueFd fd;
        Inherited inherited;
    };
    static size_t slot_of(NodeId node) { return static_cast<size_t>((node * 0x9e3779b97f4a7c15ULL) >> 50) % entries_max; }
    std::array<Entry, entries_max> entries_;
    UniqueFd beside_;  // the second of two that share an entry
};

}  // namespace holdfast::fusefs
