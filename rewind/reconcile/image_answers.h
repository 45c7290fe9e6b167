// The part of a repair's target that answers from a store's image. Nothing is applied while questions are asked, so the image is the
// present and no undo needs to be looked for.
// Ownership: borrows the store. Thread rule: one thread.
#pragma once

#include "base/unique_fd.h"
#include "rewind/reconcile/repair_target.h"
#include "rewind/store.h"

namespace holdfast::rewind {

class ImageAnswers : public RepairTarget {
public:
    Result<std::optional<ImageLocation>> find(const ObjectId& object) override;
    Result<std::vector<ViewEntry>> list(const ObjectId& directory) override;
    Result<std::optional<ViewEntry>> lookup(const ObjectId& directory, const std::string& name) override;
    Result<std::vector<ImageName>> names(const ObjectId& object) override;
    Result<ObjectAttributes> attributes(const ObjectId& object) override;
    Result<XattrList> xattrs(const ObjectId& object) override;
    Result<size_t> read(const ObjectId& object, uint64_t offset, MutableByteSpan into) override;
    Result<std::vector<DataExtent>> data_extents(const ObjectId& object) override;

protected:
    explicit ImageAnswers(const Store& store) : store_(store) {}
    // The image is about to change.
    void forget_open() { opened_.reset(); }

private:
    // Borrowed until the next question about another object.
    Result<int> open_object(const ObjectId& object);

    const Store& store_;
    UniqueFd opened_;
    ObjectId opened_id_;
};

}  // namespace holdfast::rewind
