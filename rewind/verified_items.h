// Remembers which undo items were read whole and found undamaged, so that reading a large one piece by piece does not
// hash all of it each time. Bounded: when it is full it forgets everything, which only costs hashing again.
// Thread rule: all methods from any thread.
#pragma once

#include <unordered_set>

#include "base/mutex.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

class VerifiedItems {
public:
    bool contains(UndoAddress item) const {
        MutexLock lock(mutex_);
        return items_.count(item) != 0;
    }
    void add(UndoAddress item) {
        MutexLock lock(mutex_);
        if (items_.size() >= items_max) items_.clear();
        items_.insert(item);
    }

private:
    static constexpr size_t items_max = 4096;

    mutable Mutex mutex_;
    std::unordered_set<UndoAddress> items_ HF_GUARDED_BY(mutex_);
};

}  // namespace holdfast::rewind
