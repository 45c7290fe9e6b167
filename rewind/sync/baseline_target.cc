#include "rewind/sync/baseline_target.h"

#include <fcntl.h>

#include "rewind/apply/change_data.h"
#include "rewind/extents.h"
#include "rewind/image.h"

namespace holdfast::rewind {

Result<int> BaselineTarget::open_object(const ObjectId& object) {
    if (opened_ && opened_id_ == object) return opened_.get();
    const auto location = HF_TRY(sink_.find(object));
    if (!location) return Error{ErrorCode::corrupt, "object " + journal::to_string(object) + " has no place in the image"};
    opened_ = HF_TRY(image_.open_object(*location, O_RDWR | O_NOATIME));
    opened_id_ = object;
    return opened_.get();
}

Result<ObjectAttributes> BaselineTarget::attributes(const ObjectId& object) {
    return image_.attributes_of(HF_TRY(open_object(object)));
}

Result<size_t> BaselineTarget::read(const ObjectId& object, uint64_t offset, MutableByteSpan into) {
    return read_fully(HF_TRY(open_object(object)), into, offset);
}

Result<std::vector<DataExtent>> BaselineTarget::data_extents(const ObjectId& object) {
    return data_extents_of(HF_TRY(open_object(object)));
}

Status BaselineTarget::append(const journal::Record& record) {
    if (!is_data_record(record)) return not_its_own();
    return change_data(HF_TRY(open_object(record.object)), record);
}

}  // namespace holdfast::rewind
