#include "rewind/restore/live_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"
#include "rewind/restore/object_writer.h"

namespace holdfast::rewind {

namespace {

Error changed_meanwhile(const std::string& name) {
    return {ErrorCode::busy, quoted(name) + " was changed while it was being rewound; it was left as it is"};
}

bool is_absence(const Error& error) {
    return error.sys_errno == ENOENT || error.sys_errno == ENOTDIR || error.sys_errno == ELOOP;
}

}  // namespace

uint64_t LiveTree::inode_of(const ObjectId& object) const {
    const auto made = inodes_.find(object);
    return made == inodes_.end() ? object.inode : made->second;
}

Status LiveTree::expect(int fd, const ObjectId& object, const std::string& name) const {
    struct stat info;
    if (fstat(fd, &info) != 0) return errno_error(errno, "look at " + quoted(name));
    if (info.st_ino == inode_of(object)) return ok();
    return changed_meanwhile(name);
}

Result<Place> LiveTree::place_of(const ObjectId& object) {
    const auto known = places_.find(object);
    if (known != places_.end()) return known->second;
    const auto lost = lost_.find(object);
    for (const Place& place : HF_TRY(now_.names(object))) {
        if (lost != lost_.end() && std::find(lost->second.begin(), lost->second.end(), place) != lost->second.end()) continue;
        places_[object] = place;
        return place;
    }
    return Error{ErrorCode::busy, "object " + journal::to_string(object) + " has no name any more"};
}

void LiveTree::lose_place(const ObjectId& object, const Place& place) {
    lost_[object].push_back(place);
    const auto known = places_.find(object);
    if (known != places_.end() && known->second == place) places_.erase(known);
}

Result<std::shared_ptr<UniqueFd>> LiveTree::directory(const ObjectId& directory) {
    // Upwards to one that is open (or the top), then downwards: a tree may be deeper than a stack.
    std::vector<std::pair<ObjectId, std::string>> chain;
    std::shared_ptr<UniqueFd> fd;
    for (ObjectId current = directory; !fd;) {
        if (current == journal::root_object) {
            fd = std::make_shared<UniqueFd>(openat(mount_fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            if (!*fd) return errno_error(errno, "open the top of the mount");
            break;
        }
        if (const auto known = open_.find(current); known != open_.end()) {
            fd = known->second;
            break;
        }
        const Place place = HF_TRY(place_of(current));
        chain.emplace_back(current, place.name);
        current = place.directory;
    }
    for (auto step = chain.rbegin(); step != chain.rend(); ++step) {
        auto next = open_beneath(fd->get(), step->second, O_RDONLY | O_DIRECTORY);
        if (!next && is_absence(next.error())) return changed_meanwhile(step->second);
        if (!next) return std::move(next).error();
        HF_TRY(expect(next->get(), step->first, step->second));
        fd = std::make_shared<UniqueFd>(std::move(*next));
        if (open_.size() >= live_directories_max) open_.clear();
        open_[step->first] = fd;
    }
    return fd;
}

Status LiveTree::check(const Place& place, const ObjectId& object) {
    const auto parent = HF_TRY(directory(place.directory));
    struct stat info;
    if (fstatat(parent->get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return changed_meanwhile(place.name);
        return errno_error(errno, "look at " + quoted(place.name));
    }
    if (info.st_ino != inode_of(object)) return changed_meanwhile(place.name);
    return ok();
}

Result<UniqueFd> LiveTree::open(const ObjectId& object, int flags) {
    if (object == journal::root_object) return open_beneath(mount_fd_, "", flags);
    const Place place = HF_TRY(place_of(object));
    const auto parent = HF_TRY(directory(place.directory));
    auto fd = open_beneath(parent->get(), place.name, flags);
    if (!fd && is_absence(fd.error())) return changed_meanwhile(place.name);
    if (!fd) return std::move(fd).error();
    HF_TRY(expect(fd->get(), object, place.name));
    return fd;
}

}  // namespace holdfast::rewind
