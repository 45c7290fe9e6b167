#include "rewind/sync/baseline_target.h"

#include "rewind/apply/change_data.h"
#include "rewind/extents.h"
#include "rewind/image.h"

namespace holdfast::rewind {

Result<ObjectAttributes> BaselineTarget::attributes(const ObjectId& object) {
    return image_.attributes_of(HF_TRY(sink_.file(object)));
}

Result<size_t> BaselineTarget::read(const ObjectId& object, uint64_t offset, MutableByteSpan into) {
    return read_fully(HF_TRY(sink_.file(object)), into, offset);
}

Result<std::vector<DataExtent>> BaselineTarget::data_extents(const ObjectId& object) {
    return data_extents_of(HF_TRY(sink_.file(object)));
}

Status BaselineTarget::append(const journal::Record& record) {
    if (!is_data_record(record)) return not_its_own();
    return change_data(HF_TRY(sink_.file(record.object)), record);
}

}  // namespace holdfast::rewind
