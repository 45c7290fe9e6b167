// Objects without a name that the kernel still knows: deleted files and directories that somebody has open or works in,
// and files that were born nameless (O_TMPFILE).
//
// Each has a descriptor here until the kernel forgets its node, so that it stays what it is (and its number is given to
// nobody else) whatever the kernel still asks about it. Only now its last user is gone: ORPHAN_END is recorded then.
// What is open in addition has a descriptor with the keeper, so that it outlives this process.
//
// Bound: the kernel forgets a node at once when nobody uses it; what stays is what applications hold open.
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "fusefs/filter.h"
#include "fusefs/filter/node_id.h"

namespace holdfast::fusefs {

struct Orphan {
    NodeId node = 0;
    journal::ObjectId id;
    std::shared_ptr<UniqueFd> fd;  // O_PATH
    bool is_kept = false;          // the keeper has a descriptor
    bool is_directory = false;     // ended with its removal: nothing about it is recorded any more
};

class Orphans {
public:
    explicit Orphans(OrphanKeeper* keeper) : keeper_(keeper) {}

    // Before the last name goes (or right after a nameless birth): hands FD to the keeper. False: there is none, or it
    // has no room; the file then ends with this process.
    bool keep(uint64_t inode, int fd);
    void unkeep(uint64_t inode);

    void add(Orphan orphan);
    // Named again (LINK of a nameless birth), or forgotten by the kernel.
    std::optional<Orphan> take(NodeId node);
    // Null: it is none.
    std::shared_ptr<UniqueFd> find(NodeId node) const;
    bool is_removed_directory(NodeId node) const;
    // All but directories.
    std::vector<journal::ObjectId> files() const;
    bool are_none() const { return count_.load() == 0; }
    std::vector<Orphan> take_all();

    // What a predecessor left with the keeper. Their nodes are still known to the kernel.
    void fetch_kept(const NodeIds& ids);

private:
    OrphanKeeper* keeper_;  // may be null
    std::atomic<size_t> count_ = 0;  // nearly always zero, and then nothing is locked
    mutable std::mutex mutex_;
    std::unordered_map<NodeId, Orphan> orphans_;
};

}  // namespace holdfast::fusefs
