// The bytes of the backing tree's files, read and compared at once.
// Thread rule: one thread.
#pragma once

#include <unordered_set>

#include "rewind/reconcile/byte_repair.h"
#include "rewind/reconcile/file_bytes.h"

namespace holdfast::rewind {

// Which files are compared byte by byte although size and mtime agree.
struct CompareScope {
    bool everything = false;
    int64_t ctime_from_ns = 0;               // changed at or after this
    std::unordered_set<ObjectId> touched;    // by the journal's last minute
};

class TreeBytes final : public FileBytes {
public:
    // The directories that it is given are BackingDirectory.
    TreeBytes(RepairLedger& ledger, const CompareScope& scope) : ledger_(ledger), repair_(ledger), scope_(scope) {}

    Status fill(SourceDirectory& directory, const TreeObject& object) override;
    Result<bool> compare(SourceDirectory& directory, const TreeObject& object, const ObjectAttributes& seen) override;
    uint64_t files_compared() const { return files_compared_; }

private:
    bool is_suspect(const TreeObject& object, const ObjectAttributes& seen) const;

    RepairLedger& ledger_;
    ByteRepair repair_;
    const CompareScope& scope_;
    uint64_t files_compared_ = 0;
};

}  // namespace holdfast::rewind
