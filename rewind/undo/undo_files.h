// The segment files of an undo log that is open: which there are, how long they are, and a bounded number of open
// descriptors for those that are being read.
// Thread rule: all methods from any thread.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "base/disk.h"
#include "base/mutex.h"
#include "rewind/undo/undo_segment.h"

namespace holdfast::rewind {

class UndoFiles {
public:
    explicit UndoFiles(Disk& disk) : disk_(disk) {}

    // Takes in a segment that exists.
    Status adopt(uint64_t index);
    Result<std::shared_ptr<File>> create(uint64_t index);
    Result<std::shared_ptr<File>> open_for_writing(uint64_t index);
    // For reading. A file that is dropped meanwhile stays readable. Errors: not_found (below the oldest: dropped),
    // corrupt (there should be one), io.
    Result<std::shared_ptr<File>> get(uint64_t index);

    void set_size(uint64_t index, uint64_t bytes);
    void forget(uint64_t index);
    std::optional<uint64_t> size(uint64_t index) const;
    std::optional<uint64_t> oldest() const;
    std::optional<uint64_t> newest() const;
    uint64_t used_bytes() const;

private:
    struct OpenFile {
        std::shared_ptr<File> file;
        uint64_t used_at;
    };

    Disk& disk_;
    mutable Mutex mutex_;
    std::map<uint64_t, uint64_t> sizes_ HF_GUARDED_BY(mutex_);
    std::map<uint64_t, OpenFile> open_ HF_GUARDED_BY(mutex_);
    uint64_t uses_ HF_GUARDED_BY(mutex_) = 0;
};

}  // namespace holdfast::rewind
