// What the kernel has open: a file handle (fh) for each open, and the objects behind them.
//
// An fh says how to open again: after the death of a worker the kernel goes on using the fh of its predecessor, and
// together with the node id of the request the successor makes the same open once more (adopt()). Its number grows
// from the clock, so that two workers of one mount never hand out the same.
//
//     bits 0 to 7   how it was opened (Handle::access)
//     the rest      the number
//
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "fusefs/filter/node_id.h"

namespace holdfast::fusefs {

// An object that is open at least once.
struct OpenObject {
    NodeId node = 0;
    journal::ObjectId id;
    // Bytes were changed, and the time of that is not in the journal yet.
    std::atomic<bool> has_new_times = false;
    // It has neither set-id bits nor file capabilities. False: nobody looked since they may have changed.
    std::atomic<bool> is_unprivileged = false;
    // It has no file capabilities. False: nobody looked since one may have been set. Changes with the object locked.
    std::atomic<bool> has_no_capability = false;
};

struct OpenFile {
    UniqueFd fd;
    std::shared_ptr<OpenObject> object;
    uint64_t handle = 0;
    bool is_directory = false;
    std::mutex reading;        // directories: one reader at a time, the position belongs to the descriptor
    uint64_t position = 0;     // directories: where the descriptor stands
};
using OpenFilePointer = std::shared_ptr<OpenFile>;

class OpenFiles {
public:
    explicit OpenFiles(const Clock& clock);

    // FLAGS are those of open.
    OpenFilePointer add(NodeId node, const journal::ObjectId& id, UniqueFd fd, int flags);
    // The same for a handle that a predecessor gave out; it may have changed bytes by it. Two threads may do it at once: one of the two stays.
    OpenFilePointer adopt(uint64_t handle, NodeId node, const journal::ObjectId& id, UniqueFd fd);
    // Null: not one of ours.
    OpenFilePointer find(uint64_t handle) const;
    // Returns what was removed, or null; the second is true when the object is not open any more.
    std::pair<OpenFilePointer, bool> remove(uint64_t handle);

    // Null: not open.
    std::shared_ptr<OpenObject> object(NodeId node) const;
    // One of its descriptors, whatever it is good for.
    OpenFilePointer any_of(NodeId node) const;
    std::vector<std::shared_ptr<OpenObject>> objects() const;

    // The flags that a handle was opened with, as far as they matter for opening again.
    static int flags_of(uint64_t handle);

private:
    static constexpr size_t shards = 64;
    struct FileShard {
        mutable std::mutex mutex;
        std::unordered_map<uint64_t, OpenFilePointer> files;
    };
    struct Opened {
        std::shared_ptr<OpenObject> object;
        std::vector<OpenFilePointer> files;
    };
    struct ObjectShard {
        mutable std::mutex mutex;
        std::unordered_map<NodeId, Opened> objects;
    };
    OpenFilePointer insert(uint64_t handle, NodeId node, const journal::ObjectId& id, UniqueFd fd);
    FileShard& shard_of(uint64_t handle) const { return files_[(handle >> 8) % shards]; }
    ObjectShard& object_shard_of(NodeId node) const { return objects_[node % shards]; }

    std::atomic<uint64_t> next_;
    mutable FileShard files_[shards];
    mutable ObjectShard objects_[shards];
};

}  // namespace holdfast::fusefs
