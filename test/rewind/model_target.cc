#include "test/rewind/model_target.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "rewind/extents.h"

namespace holdfast::test {

Result<std::optional<rewind::ImageLocation>> ModelTarget::find(const ObjectId& object) {
    if (!settled_.contains(object)) {
        if (!dead_.count(object)) return std::optional<rewind::ImageLocation>();
        return std::optional(rewind::ImageLocation{"", 0, 0});
    }
    const Object& found = settled_.at(object);
    return std::optional(rewind::ImageLocation{"", found.mode & S_IFMT, S_ISDIR(found.mode) ? 1 : found.names});
}

Result<std::vector<rewind::ViewEntry>> ModelTarget::list(const ObjectId& directory) {
    std::vector<rewind::ViewEntry> entries;
    for (const auto& [name, object] : settled_.at(directory).entries)
        entries.push_back({name, object, settled_.at(object).mode & S_IFMT});
    return entries;
}

Result<std::vector<rewind::ImageName>> ModelTarget::names(const ObjectId& object) {
    std::vector<rewind::ImageName> found;
    for (const auto& [directory, at] : settled_.objects())
        for (const auto& [name, child] : at->entries)
            if (child == object) found.push_back({directory, name});
    return found;
}

Result<rewind::ObjectAttributes> ModelTarget::attributes(const ObjectId& object) {
    const Object& found = settled_.at(object);
    rewind::ObjectAttributes attributes;
    attributes.mode = found.mode;
    attributes.uid = found.uid;
    attributes.gid = found.gid;
    attributes.nlink = settled_.link_count(object);
    attributes.size = found.bytes->size();
    attributes.rdev = found.rdev;
    attributes.mtime_ns = found.mtime_ns.value_or(-1);
    return attributes;
}

Result<rewind::XattrList> ModelTarget::xattrs(const ObjectId& object) {
    const auto& found = settled_.at(object).xattrs;
    return rewind::XattrList(found.begin(), found.end());
}

Result<size_t> ModelTarget::read(const ObjectId& object, uint64_t offset, MutableByteSpan into) {
    const std::string& bytes = *settled_.at(object).bytes;
    if (offset >= bytes.size()) return size_t{0};
    const size_t length = std::min<size_t>(into.size(), bytes.size() - offset);
    std::memcpy(into.data(), bytes.data() + offset, length);
    return length;
}

Result<std::vector<rewind::DataExtent>> ModelTarget::data_extents(const ObjectId& object) {
    rewind::ExtentSet set;
    const Object& found = settled_.at(object);
    // What the model leaves open (Block::either) is a hole here, as it is on the file system under the tests' trees.
    for (size_t block = 0; block < found.blocks.size(); ++block)
        if (found.blocks[block] == Block::data) set.add(block * block_bytes, block_bytes);
    set.clip(found.bytes->size());
    return set.take();
}

Status ModelTarget::append(const Record& record) {
    if (records >= fail_after) return Error{ErrorCode::io, "the test lets this record fail"};
    ++records;
    latest_.apply(record);
    if (record.type == HF_ORPHAN_END || record.type == HF_RMDIR) dead_.insert(record.object);
    return ok();
}

Status ModelTarget::settle() {
    settled_ = latest_;
    return ok();
}

}  // namespace holdfast::test
