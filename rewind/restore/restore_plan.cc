// Planning a restore: what will be made, how large it is, and whether there is a place for it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <unordered_set>

#include "base/mount_table.h"
#include "base/text.h"
#include "rewind/restore/names_at.h"
#include "rewind/restore/object_writer.h"
#include "rewind/restore/restore.h"

namespace holdfast::rewind {

namespace {

const char* type_text(uint32_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG: return "a file";
        case S_IFDIR: return "a directory";
        case S_IFLNK: return "a symbolic link";
        default: return "a special file";
    }
}

std::string last_component(std::string_view path) {
    const size_t slash = path.rfind('/');
    return std::string(slash == path.npos ? path : path.substr(slash + 1));
}

// What is replaced is removed, and with it would go what is mounted in it: another file system, or what is left out of a protected directory. A
// confined service sees no mounts but its own; there the command has looked.
Status check_mounts_in(const std::string& target) {
    const auto table = read_mount_table();
    const MountEntry* below = table ? mount_below(*table, target) : nullptr;
    if (!below) return ok();
    return Error{ErrorCode::busy, quoted(target) + " cannot be replaced, because something is mounted in it, at " + quoted(below->point) + "; choose another destination"};
}

Status look_at_target(RestorePlan& plan, bool force) {
    struct stat info;
    const UniqueFd directory = HF_TRY(plan.open_directory(O_PATH));
    if (fstatat(directory.get(), plan.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return ok();
        return errno_error(errno, "look at " + quoted(plan.target()));
    }
    plan.replaces = type_text(info.st_mode);
    if (force) return check_mounts_in(plan.target());
    return Error{ErrorCode::exists, quoted(plan.target()) + " exists already (" + plan.replaces +
                                        "); choose another destination, or replace it with --force"};
}

// Objects and bytes below the plan's object. Memory: directories still to be visited, objects with several names.
Status measure(const View& view, RestorePlan& plan) {
    std::unordered_set<ObjectId> counted;
    std::vector<ObjectId> pending{plan.object};
    const auto count = [&](const ObjectId& object, uint32_t type) -> Status {
        if ((type & S_IFMT) != S_IFDIR) {
            const ObjectAttributes attributes = HF_TRY(view.attributes(object));
            if (attributes.nlink > 1 && !counted.insert(object).second) return ok();
            if ((type & S_IFMT) == S_IFREG && attributes.size > 0)
                for (const DataExtent& extent : HF_TRY(view.data_extents(object))) plan.bytes += extent.length;
        }
        ++plan.files;
        return ok();
    };
    if ((plan.mode & S_IFMT) != S_IFDIR) return count(plan.object, plan.mode);
    ++plan.files;
    while (!pending.empty()) {
        const ObjectId directory = pending.back();
        pending.pop_back();
        for (const ViewEntry& entry : HF_TRY(view.list(directory))) {
            HF_TRY(count(entry.object, entry.mode));
            if ((entry.mode & S_IFMT) == S_IFDIR) pending.push_back(entry.object);
        }
    }
    return ok();
}

Status check_space(const RestorePlan& plan) {
    const UniqueFd directory = HF_TRY(plan.open_directory(O_RDONLY));
    struct statvfs space;
    if (fstatvfs(directory.get(), &space) != 0) return ok();
    const uint64_t free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
    if (plan.bytes <= free_bytes) return ok();
    return Error{ErrorCode::no_space, "restoring needs " + human_bytes(plan.bytes) + ", but the file system of " +
                                          quoted(plan.directory) + " has " + human_bytes(free_bytes) +
                                          " left; make space there, or choose another destination",
                 ENOSPC};
}

}  // namespace

Result<UniqueFd> RestorePlan::open_directory(int flags) const {
    const bool is_by_path = directory_fd < 0;
    UniqueFd fd(::openat(is_by_path ? AT_FDCWD : directory_fd, is_by_path ? directory.c_str() : ".", flags | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open " + quoted(directory));
    return fd;
}

Result<RestorePlace> find_restore_place(const std::string& destination) {
    if (destination.empty() || destination.front() != '/')
        return Error{ErrorCode::invalid_argument, "the destination must be an absolute path"};
    std::string path = destination;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    struct stat info;
    // A symbolic link that the person names is followed; below the destination none is.
    const bool is_there = stat(path.c_str(), &info) == 0;
    if (is_there && S_ISDIR(info.st_mode)) return RestorePlace{path, "", {}};
    const size_t slash = path.rfind('/');
    RestorePlace place{slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1), {}};
    if (place.name.empty() || place.name == "." || place.name == "..")
        return Error{ErrorCode::invalid_argument, quoted(destination) + " is no place for a restored object"};
    if (stat(place.directory.c_str(), &info) != 0)
        return errno_error(errno, "the destination's directory " + quoted(place.directory));
    if (!S_ISDIR(info.st_mode))
        return Error{ErrorCode::not_found, quoted(place.directory) + " is not a directory", ENOTDIR};
    return place;
}

Result<RestorePlan> plan_restore(const View& view, std::string_view path, const RestorePlace& place, bool force) {
    RestorePlan plan;
    const std::string normal = HF_TRY(normal_path(path));
    auto object = view.resolve(normal);
    if (!object && object.error().code == ErrorCode::not_found)
        return Error{ErrorCode::not_found, quoted(normal) + " did not exist at that moment; `holdfast log` shows when it did",
                     ENOENT};
    plan.object = HF_TRY(std::move(object));
    plan.mode = HF_TRY(view.attributes(plan.object)).mode;
    plan.directory = place.directory;
    plan.directory_fd = place.opened.get();
    plan.name = place.name.empty() ? last_component(normal) : place.name;
    if (plan.name.empty())
        return Error{ErrorCode::invalid_argument, "the top of a volume has no name of its own; name a new directory to "
                                                  "restore it to, such as " + place.directory + "/restored"};
    HF_TRY(look_at_target(plan, force));
    HF_TRY(measure(view, plan));
    HF_TRY(check_space(plan));
    return plan;
}

Result<RestorePlan> plan_restore(const View& view, std::string_view path, const std::string& destination, bool force) {
    return plan_restore(view, path, HF_TRY(find_restore_place(destination)), force);
}

}  // namespace holdfast::rewind
