// The bytes and holes of a file: what differs from its source becomes WRITE, TRUNCATE and FALLOCATE (punch) records, block by block.
// Thread rule: one thread.
#pragma once

#include <vector>

#include "rewind/extents.h"
#include "rewind/reconcile/repair_ledger.h"
#include "rewind/reconcile/source_tree.h"

namespace holdfast::rewind {

// A file of the source tree, or as much of it as is at hand.
class FileContents {
public:
    virtual ~FileContents() = default;
    virtual Result<std::vector<DataExtent>> data_extents() = 0;
    // Reads until INTO is full or the file ends; returns the bytes read.
    virtual Result<size_t> read(uint64_t offset, MutableByteSpan into) = 0;
};

// What the image has of a file, looked at before any record about it is appended.
struct ImageFile {
    uint64_t size = 0;
    std::vector<DataExtent> data;
};

class ByteRepair {
public:
    explicit ByteRepair(RepairLedger& ledger) : ledger_(ledger) {}

    Result<ImageFile> look_at(const TreeObject& object, uint64_t image_size);
    Status set_size(const TreeObject& object, const ImageFile& image);
    // Within WINDOW, of which CONTENTS tells everything.
    Status compare(const TreeObject& object, FileContents& contents, const ImageFile& image, const DataExtent& window);
    // All of a file that was just born, its size too.
    Status fill(const TreeObject& object, FileContents& contents);

private:
    Status compare_range(const TreeObject& object, FileContents& contents, const DataExtent& range, const ImageFile& image);
    Status clear_range(const TreeObject& object, const DataExtent& hole, const ImageFile& image);
    Status write_range(const TreeObject& object, FileContents& contents, const DataExtent& range);

    RepairLedger& ledger_;
    std::vector<std::byte> ours_;    // of the source
    std::vector<std::byte> theirs_;  // of the image
};

}  // namespace holdfast::rewind
