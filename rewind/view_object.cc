// A view's answers about one object, taken in one visit of the image.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "rewind/acl_mode.h"
#include "rewind/apply/change_data.h"
#include "rewind/extents.h"
#include "rewind/image.h"
#include "rewind/store.h"
#include "rewind/view.h"
#include "rewind/xattrs.h"

namespace holdfast::rewind {

namespace {

bool is_told_with_data(const ObjectAttributes& attributes, uint64_t data_bytes_max) {
    return S_ISREG(attributes.mode) && attributes.size > 0 && attributes.size <= data_bytes_max;
}

template <typename Read>
Status read_data(const std::vector<DataExtent>& extents, const Read& read, std::vector<ViewObject::Data>& into) {
    for (const DataExtent& extent : extents) {
        ViewObject::Data data{extent.offset, std::vector<std::byte>(extent.length)};
        data.bytes.resize(HF_TRY(read(extent.offset, MutableByteSpan(data.bytes))));
        if (!data.bytes.empty()) into.push_back(std::move(data));
    }
    return ok();
}

}  // namespace

// The log has a record before its change reaches the image; so when it has none from this moment on, no answer that the image
// gave until now has anything of them.
bool View::is_present() const {
    return store_.undo_log().last_lsn() < at_;
}

Result<ViewObject> View::look(const ObjectId& object, uint64_t data_bytes_max) const {
    auto now = look_at_image(object, data_bytes_max);
    if (now && is_present() && !S_ISDIR(now->attributes.mode)) return now;

    ViewObject then;
    then.attributes = HF_TRY(attributes(object));
    then.xattrs = HF_TRY(xattrs(object));
    if (!is_told_with_data(then.attributes, data_bytes_max)) return then;
    then.has_data = true;
    const auto read_then = [&](uint64_t offset, MutableByteSpan into) { return read(object, offset, into); };
    HF_TRY(read_data(HF_TRY(data_extents(object)), read_then, then.data));
    return then;
}

Result<ViewObject> View::look_at_image(const ObjectId& object, uint64_t data_bytes_max) const {
    const auto location = HF_TRY(store_.index().location(object));
    if (!location) return Error{ErrorCode::not_found, "the image has no such object"};
    const bool may_be_read = S_ISREG(location->mode) && data_bytes_max > 0;
    const UniqueFd fd = HF_TRY(store_.image().open_object(object, *location, may_be_read ? O_RDONLY | O_NOATIME : O_PATH | O_NOFOLLOW));
    ViewObject found;
    found.attributes = HF_TRY(store_.image().attributes_of(fd.get()));
    found.xattrs = HF_TRY(xattrs_of_object(store_.image(), object, fd.get()));
    for (auto& [name, value] : found.xattrs)
        if (name == access_acl_xattr) value = fit_acl_to_mode(std::move(value), found.attributes.mode);
    if (!is_told_with_data(found.attributes, data_bytes_max)) return found;
    found.has_data = true;
    const auto read_now = [&](uint64_t offset, MutableByteSpan into) { return read_fully(fd.get(), into, offset); };
    HF_TRY(read_data(HF_TRY(data_extents_of(fd.get())), read_now, found.data));
    return found;
}

}  // namespace holdfast::rewind
