// The image of a store without history behind a repair's ledger: records about the bytes of files take effect at once and leave no trace.
// Names and attributes are the baseline sink's.
// Ownership: borrows sink and image. Thread rule: one thread.
#pragma once

#include "rewind/baseline_sink.h"
#include "rewind/reconcile/repair_target.h"

namespace holdfast::rewind {

class BaselineTarget final : public RepairTarget {
public:
    BaselineTarget(BaselineSink& sink, const Image& image) : sink_(sink), image_(image) {}

    Result<std::optional<ImageLocation>> find(const ObjectId& object) override { return sink_.find(object); }
    Result<ObjectAttributes> attributes(const ObjectId& object) override;
    Result<size_t> read(const ObjectId& object, uint64_t offset, MutableByteSpan into) override;
    Result<std::vector<DataExtent>> data_extents(const ObjectId& object) override;
    Status append(const journal::Record& record) override;  // WRITE, TRUNCATE, FALLOCATE
    Status settle() override { return ok(); }

    Result<std::vector<ViewEntry>> list(const ObjectId&) override { return not_its_own(); }
    Result<std::vector<ImageName>> names(const ObjectId&) override { return not_its_own(); }
    Result<XattrList> xattrs(const ObjectId&) override { return not_its_own(); }
    Result<ObjectId> fresh_id() override { return not_its_own(); }

private:
    static Error not_its_own() { return {ErrorCode::unsupported, "a first copy asks its sink for that"}; }

    BaselineSink& sink_;
    const Image& image_;
};

}  // namespace holdfast::rewind
