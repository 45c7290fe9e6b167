#include "rewind/apply/object_files.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace holdfast::rewind {

int open_flags_for(uint32_t mode) {
    if (S_ISREG(mode)) return O_RDWR | O_NOATIME | O_NOFOLLOW | O_CLOEXEC;
    if (S_ISDIR(mode)) return O_RDONLY | O_DIRECTORY | O_NOATIME | O_NOFOLLOW | O_CLOEXEC;
    return O_PATH | O_NOFOLLOW | O_CLOEXEC;
}

std::string descriptor_path(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

ObjectFiles::Entry& ObjectFiles::remember(const ObjectId& object, ImageLocation location) {
    if (auto known = entries_.find(object); known != entries_.end()) {
        known->second.location = std::move(location);
        used_.splice(used_.begin(), used_, known->second.used);
        return known->second;
    }
    while (entries_.size() >= open_objects_max) {
        entries_.erase(used_.back());
        used_.pop_back();
    }
    used_.push_front(object);
    return entries_.emplace(object, Entry{std::move(location), UniqueFd(), used_.begin()}).first->second;
}

Result<std::optional<ImageLocation>> ObjectFiles::location(const ObjectId& object) {
    if (auto known = entries_.find(object); known != entries_.end()) {
        used_.splice(used_.begin(), used_, known->second.used);
        return std::optional(known->second.location);
    }
    const auto changed = changed_.find(object);
    auto location = changed != changed_.end() ? changed->second : HF_TRY(places_.location(object));
    if (location) remember(object, *location);
    return location;
}

Result<int> ObjectFiles::fd(const ObjectId& object) {
    const auto location = HF_TRY(this->location(object));
    if (!location)
        return Error{ErrorCode::corrupt, std::string(image_.what()) + " has no object " + journal::to_string(object) + ", of which the journal speaks"};
    Entry& entry = entries_.at(object);
    if (!entry.fd) {
        auto opened = image_.open_object(object, *location, open_flags_for(location->mode));
        if (!opened) return std::move(opened).error().within("object " + journal::to_string(object) + " of " + std::string(image_.what()));
        entry.fd = std::move(*opened);
    }
    return entry.fd.get();
}

// A file that was removed is there as long as somebody has it open; it may be this.
Result<bool> ObjectFiles::is_there(const ObjectId& object) {
    if (!HF_TRY(location(object))) return false;
    const auto fd = this->fd(object);
    if (!fd && fd.error().code != ErrorCode::not_found) return Error(fd.error());
    struct stat status;
    if (fd && ::fstat(*fd, &status) != 0) return errno_error(errno, "look at an object");
    if (fd && status.st_nlink > 0) return true;
    HF_TRY(remove(object));
    return false;
}

void ObjectFiles::add(const ObjectId& object, ImageLocation location, UniqueFd fd) {
    changed_[object] = location;
    remember(object, std::move(location)).fd = std::move(fd);
}

Status ObjectFiles::set_links(const ObjectId& object, uint32_t links) {
    auto location = HF_TRY(this->location(object));
    if (!location || location->links == links) return ok();
    location->links = links;
    entries_.at(object).location.links = links;
    changed_[object] = std::move(location);
    return ok();
}

Status ObjectFiles::remove(const ObjectId& object) {
    changed_[object] = std::nullopt;
    if (auto known = entries_.find(object); known != entries_.end()) {
        used_.erase(known->second.used);
        entries_.erase(known);
    }
    return image_.spilled().forget(object);
}

std::vector<LocationChange> ObjectFiles::changes() const {
    std::vector<LocationChange> changes;
    changes.reserve(changed_.size());
    for (const auto& [object, location] : changed_) changes.push_back({object, location});
    return changes;
}

Status ObjectFiles::tell_places(const std::vector<ObjectId>& objects) {
    std::vector<LocationChange> told;
    for (const ObjectId& object : objects)
        if (const auto changed = changed_.find(object); changed != changed_.end()) told.push_back({object, changed->second});
    return told.empty() ? ok() : places_.take_in(told);
}

Status ObjectFiles::tell_all() {
    if (changed_.empty()) return ok();
    HF_TRY(places_.take_in(changes()));
    changes_taken();
    return ok();
}

void ObjectFiles::clear() {
    entries_.clear();
    used_.clear();
    changed_.clear();
}

}  // namespace holdfast::rewind
