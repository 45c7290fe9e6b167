// Brings one object of the image, names apart, to what it is in the backing tree: owner, mode, xattrs, bytes, holes,
// times. What a birth in the image starts from is here too.
// Thread rule: one thread.
#pragma once

#include <unordered_set>
#include <vector>

#include "rewind/extents.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/repair_ledger.h"

namespace holdfast::rewind {

// Which files are compared byte by byte although size and mtime agree.
struct CompareScope {
    bool everything = false;
    int64_t ctime_from_ns = 0;               // changed at or after this
    std::unordered_set<ObjectId> touched;    // by the journal's last minute
};

class ObjectRepair {
public:
    ObjectRepair(RepairLedger& ledger, const CompareScope& scope);

    // A record of OBJECT's birth at its name in DIRECTORY; regular files are born empty.
    Status bear(const ObjectId& directory, int directory_fd, const TreeObject& object);
    // The bytes of a file that was just born.
    Status fill(int directory_fd, const TreeObject& object);
    // OBJECT is in the image: whatever differs becomes a record. DIRECTORY_FD and the object's name say where to read
    // it. For directories: after their entries. LEAVES_MTIME: somebody else sets it later.
    Status compare(int directory_fd, const TreeObject& object, bool leaves_mtime);
    // A directory that was born in this repair has everything but its mtime, which its entries have moved.
    Status finish_born(const TreeObject& directory);
    uint64_t files_compared() const { return files_compared_; }

private:
    Status compare_attributes(const TreeObject& object, const ObjectAttributes& seen, const XattrList& wanted,
                              const XattrList& present);
    Status compare_bytes(const TreeObject& object, int file_fd, uint64_t image_size);
    Status compare_range(const TreeObject& object, int file_fd, const DataExtent& range,
                         const std::vector<DataExtent>& image_data, uint64_t image_size);
    Status clear_range(const TreeObject& object, const DataExtent& hole, const std::vector<DataExtent>& image_data);
    Status write_range(const TreeObject& object, int file_fd, uint64_t offset, uint64_t length);
    Status set_attributes(const TreeObject& object, uint32_t valid);
    Status repeat_what_writing_clears(const TreeObject& object, const XattrList& xattrs);
    bool is_suspect(const TreeObject& object, const ObjectAttributes& seen) const;

    RepairLedger& ledger_;
    const CompareScope& scope_;
    uint64_t files_compared_ = 0;
    std::vector<std::byte> ours_;    // of the backing tree
    std::vector<std::byte> theirs_;  // of the image
};

}  // namespace holdfast::rewind
