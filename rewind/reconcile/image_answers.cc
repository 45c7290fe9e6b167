#include "rewind/reconcile/image_answers.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "rewind/extents.h"
#include "rewind/image.h"
#include "rewind/read_directory.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/view.h"

namespace holdfast::rewind {

Result<std::optional<ImageLocation>> ImageAnswers::find(const ObjectId& object) {
    return store_.index().location(object);
}

Result<int> ImageAnswers::open_object(const ObjectId& object) {
    if (opened_ && opened_id_ == object) return opened_.get();
    const auto location = HF_TRY(store_.index().location(object));
    if (!location)
        return Error{ErrorCode::corrupt, "object " + journal::to_string(object) + " has no place in the image"};
    const uint32_t type = location->mode & S_IFMT;
    const int flags = type == S_IFREG ? O_RDONLY | O_NOATIME : type == S_IFDIR ? O_RDONLY | O_DIRECTORY : O_PATH | O_NOFOLLOW;
    opened_ = HF_TRY(store_.image().open_object(object, *location, flags));
    opened_id_ = object;
    return opened_.get();
}

Result<std::vector<ViewEntry>> ImageAnswers::list(const ObjectId& directory) {
    const int fd = HF_TRY(open_object(directory));
    std::vector<ViewEntry> entries;
    HF_TRY(read_directory(fd, [&](const DirectoryEntry& entry) -> Status {
        const ObjectId object = HF_TRY(store_.image().object_of(fd, entry.name));
        uint32_t type = entry.type;
        if (type == 0) {
            const auto location = HF_TRY(store_.index().location(object));
            if (location) type = location->mode & S_IFMT;
        }
        entries.push_back({entry.name, object, type});
        return ok();
    }));
    return entries;
}

Result<std::optional<ViewEntry>> ImageAnswers::lookup(const ObjectId& directory, const std::string& name) {
    const auto place = HF_TRY(store_.index().location(directory));
    if (!place || place->links == 0) return std::optional<ViewEntry>();
    const auto found = View(store_, store_.applied()).lookup(directory, name);
    if (!found && found.error().code == ErrorCode::not_found) return std::optional<ViewEntry>();
    if (!found) return found.error();
    const auto location = HF_TRY(store_.index().location(*found));
    if (!location) return Error{ErrorCode::corrupt, "object " + journal::to_string(*found) + " has no place in the image"};
    return std::optional(ViewEntry{name, *found, location->mode & S_IFMT});
}

Result<std::vector<ImageName>> ImageAnswers::names(const ObjectId& object) {
    // The index tells every name that the object ever had; those that lead to it now are its names.
    std::vector<ImageName> names;
    const View now(store_, store_.applied());
    for (auto& event : HF_TRY(store_.index().names_of(object))) {
        const bool is_known = std::any_of(names.begin(), names.end(), [&](const ImageName& name) {
            return name.directory == event.directory && name.name == event.name;
        });
        if (is_known) continue;
        const auto directory = HF_TRY(store_.index().location(event.directory));
        if (!directory || directory->links == 0) continue;
        const auto found = now.lookup(event.directory, event.name);
        if (!found && found.error().code == ErrorCode::not_found) continue;
        if (!found) return found.error();
        if (*found == object) names.push_back({event.directory, std::move(event.name)});
    }
    return names;
}

Result<ObjectAttributes> ImageAnswers::attributes(const ObjectId& object) {
    return store_.image().attributes_of(HF_TRY(open_object(object)));
}

Result<XattrList> ImageAnswers::xattrs(const ObjectId& object) {
    return xattrs_at(HF_TRY(open_object(object)), "");
}

Result<size_t> ImageAnswers::read(const ObjectId& object, uint64_t offset, MutableByteSpan into) {
    return read_fully(HF_TRY(open_object(object)), offset, into);
}

Result<std::vector<DataExtent>> ImageAnswers::data_extents(const ObjectId& object) {
    return data_extents_of(HF_TRY(open_object(object)));
}

}  // namespace holdfast::rewind
