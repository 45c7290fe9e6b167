// The reference model as the image of a repair. Like the real one it answers from the last settle() only; it checks
// every record's sense at once, because the model stops the test at one that makes none.
#pragma once

#include <unordered_set>

#include "rewind/reconcile/repair_target.h"
#include "test/model/model.h"

namespace holdfast::test {

class ModelTarget final : public rewind::RepairTarget {
public:
    Result<std::optional<rewind::ImageLocation>> find(const ObjectId& object) override;
    Result<std::vector<rewind::ViewEntry>> list(const ObjectId& directory) override;
    Result<std::vector<rewind::ImageName>> names(const ObjectId& object) override;
    Result<rewind::ObjectAttributes> attributes(const ObjectId& object) override;
    Result<rewind::XattrList> xattrs(const ObjectId& object) override;
    Result<size_t> read(const ObjectId& object, uint64_t offset, MutableByteSpan into) override;
    Result<std::vector<rewind::DataExtent>> data_extents(const ObjectId& object) override;
    Status append(const Record& record) override;
    Status settle() override;
    Result<ObjectId> fresh_id() override { return ObjectId{next_id_++, 0, 0}; }

    Model& model() { return latest_; }
    size_t records = 0;
    size_t fail_after = ~size_t{0};  // records

private:
    Model latest_;
    Model settled_;
    std::unordered_set<ObjectId> dead_;
    uint64_t next_id_ = 4096;
};

}  // namespace holdfast::test
