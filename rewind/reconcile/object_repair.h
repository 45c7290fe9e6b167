// Brings one object of the image, names apart, to what it is in the source tree: owner, mode, xattrs, times; its bytes by FileBytes.
// What a birth in the image starts from is here too.
// Thread rule: one thread.
#pragma once

#include "rewind/reconcile/file_bytes.h"
#include "rewind/reconcile/repair_ledger.h"

namespace holdfast::rewind {

class ObjectRepair {
public:
    ObjectRepair(RepairLedger& ledger, FileBytes& bytes) : ledger_(ledger), bytes_(bytes) {}

    // A record of OBJECT's birth at its name in the directory PARENT, and its bytes.
    Status bear(const ObjectId& parent, SourceDirectory& directory, const TreeObject& object);
    // OBJECT is in the image: whatever differs becomes a record. For directories: after their entries, with an empty name.
    // LEAVES_MTIME: somebody else sets it later.
    Status compare(SourceDirectory& directory, const TreeObject& object, bool leaves_mtime);
    // A directory that was born in this repair has everything but its mtime, which its entries have moved.
    Status finish_born(const TreeObject& directory);

private:
    Status compare_attributes(const TreeObject& object, const ObjectAttributes& seen, const XattrList& wanted,
                              const XattrList& present);

    RepairLedger& ledger_;
    FileBytes& bytes_;
};

// Writing takes a capability and the set-id bits from a file: they are set once more. Its mtime is not.
Status repeat_what_writing_clears(RepairLedger& ledger, const TreeObject& object, const XattrList& xattrs);

}  // namespace holdfast::rewind
