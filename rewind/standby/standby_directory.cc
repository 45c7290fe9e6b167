#include "rewind/standby/standby_directory.h"

#include <sys/stat.h>

#include <filesystem>

#include "base/mount_table.h"
#include "base/real_path.h"
#include "base/text.h"
#include "rewind/read_directory.h"
#include "rewind/standby/standby_tree.h"

namespace holdfast::rewind {

namespace {

using journal::Volume;

bool lie_in_one_another(const std::string& one, const std::string& other) {
    return is_within(one, other) || is_within(other, one);
}

Status check_place(const Volume& volume, const std::string& directory) {
    if (!directory.starts_with('/') || directory == "/")
        return Error{ErrorCode::invalid_argument, quoted(directory) + " is no standby directory; it is an absolute path, and not the root"};
    if (lie_in_one_another(directory, volume.store))
        return Error{ErrorCode::invalid_argument, "the standby directory " + quoted(directory) + " and the store " + quoted(volume.store) + " lie in one another; choose another place"};
    for (const Volume& other : HF_TRY(journal::registered_volumes())) {
        if (other.id == volume.id) continue;
        const bool in_directory = !other.directory.empty() && lie_in_one_another(directory, other.directory);
        if (in_directory || lie_in_one_another(directory, other.store))
            return Error{ErrorCode::invalid_argument, "the standby directory " + quoted(directory) + " and " + quoted(in_directory ? other.directory : other.store) +
                                                          ", which belongs to another volume, lie in one another; choose another place"};
    }
    return ok();
}

Result<UniqueFd> open_or_make(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make the standby directory " + quoted(directory));
    return open_standby_directory(directory);
}

// Of nobody but this volume: it is empty, or was its standby directory before. A file system of its own has a directory for what it finds when it is checked.
Status check_empty(int fd, const std::string& directory, const journal::VolumeId& volume) {
    std::string found;
    bool is_ours = false;
    HF_TRY(read_directory(fd, [&](const DirectoryEntry& entry) -> Status {
        if (entry.name == kept_name(volume)) is_ours = true;
        else if (entry.name != "lost+found") found = entry.name;
        return ok();
    }));
    if (found.empty() || is_ours) return ok();
    return Error{ErrorCode::exists, "the directory " + quoted(directory) + " holds something (" + quoted(found) + "), and a standby directory holds what the volume holds and nothing else. Empty it; or "
                                    "say `replace_contents = true` in the [[keep]], and what differs from the volume is replaced or removed"};
}

}  // namespace

Status set_standby_directory(Volume& volume, const std::string& directory, bool replaces) {
    if (!volume.is_replica()) return Error{ErrorCode::invalid_argument, quoted(volume.store) + " is no replica's store, and only such a one has a standby directory"};
    const std::string real = directory.empty() ? "" : real_place(directory);
    if (real == volume.directory) return ok();
    if (!real.empty()) {
        HF_TRY(check_place(volume, real));
        const UniqueFd fd = HF_TRY(open_or_make(real));
        if (!replaces) HF_TRY(check_empty(fd.get(), real, volume.id));
    }
    // What is known of another directory means nothing for this one.
    std::error_code failure;
    std::filesystem::remove_all(volume.store + "/tree", failure);
    if (!failure) std::filesystem::remove_all(volume.store + "/tree-xattrs", failure);
    if (failure) return errno_error(failure.value(), "forget the standby directory that was");
    Volume changed = volume;
    changed.directory = real;
    HF_TRY(journal::save_volume(changed));
    volume = std::move(changed);
    return ok();
}

}  // namespace holdfast::rewind
