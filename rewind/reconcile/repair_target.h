// What the comparison asks of the image, and where it puts what it finds.
//
// Answers are those of the last settle(): records appended since are not in them. The ledger (repair_ledger.h) knows
// which answers that concerns and settles before it asks.
// Thread rule: one thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "journal/record.h"
#include "rewind/baseline_sink.h"
#include "rewind/index/index.h"
#include "rewind/view.h"

namespace holdfast::rewind {

struct ImageName {
    ObjectId directory;
    std::string name;
};

class RepairTarget {
public:
    virtual ~RepairTarget() = default;

    // Nothing: unknown. `links` 0: dead, it lies in the graveyard.
    virtual Result<std::optional<ImageLocation>> find(const ObjectId& object) = 0;
    virtual Result<std::vector<ViewEntry>> list(const ObjectId& directory) = 0;
    // What NAME of DIRECTORY leads to. Nothing: there is no such name, or no such directory.
    virtual Result<std::optional<ViewEntry>> lookup(const ObjectId& directory, const std::string& name);
    virtual Result<std::vector<ImageName>> names(const ObjectId& object) = 0;
    virtual Result<ObjectAttributes> attributes(const ObjectId& object) = 0;
    virtual Result<XattrList> xattrs(const ObjectId& object) = 0;  // sorted by name
    virtual Result<size_t> read(const ObjectId& object, uint64_t offset, MutableByteSpan into) = 0;
    virtual Result<std::vector<DataExtent>> data_extents(const ObjectId& object) = 0;

    // Puts RECORD at the end of the journal. Errors: no_space (settle and try again), io.
    virtual Status append(const journal::Record& record) = 0;
    // Everything appended is in the answers from here on.
    virtual Status settle() = 0;
    // Unused in every life of the volume: for an object that the backing tree does not have.
    virtual Result<ObjectId> fresh_id() = 0;
};

}  // namespace holdfast::rewind
