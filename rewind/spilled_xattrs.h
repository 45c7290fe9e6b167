// The extended attributes of the image's objects for which its file system has no room. What fitted at the source need not fit
// here: every object of the image carries its id as well (image.h), and file systems differ (ext4 keeps four kilobytes for an object, XFS
// 64 for each attribute). An application must not be able to stop its store by that, so what does not fit is kept beside.
//
// STORE/xattrs/OBJECT/NAME= holds the value behind its checksum; in NAME the signs / % = are written %2F %25 %3D, and what
// is longer than a component may be lies in directories. A file for each attribute, because a power loss may take any file that was written since the last
// checkpoint, and exactly those are written again. One that is not whole counts as not there.
//
// Thread rule: const methods from any thread; the others from the applier's thread. What is written is durable with the next sync of the file system.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/ids.h"

namespace holdfast::rewind {

using journal::ObjectId;

class SpilledXattrs {
public:
    // DIRECTORY is made when it is missing.
    static Result<std::unique_ptr<SpilledXattrs>> open(const std::string& directory);

    // Of an object, in no order. Nothing is looked for as long as no object has any.
    Result<std::vector<std::pair<std::string, std::string>>> of(const ObjectId& object) const;
    Result<std::optional<std::string>> value(const ObjectId& object, std::string_view name) const;

    Status put(const ObjectId& object, std::string_view name, std::string_view value);
    Status remove(const ObjectId& object, std::string_view name);  // also when there is none
    Status forget(const ObjectId& object);                         // all of them
    // Everything that was written is durable on return.
    Status sync() const;
    bool has_any() const { return has_any_; }  // some object may have one

private:
    explicit SpilledXattrs(UniqueFd directory) : directory_(std::move(directory)) {}

    UniqueFd directory_;
    std::atomic<bool> has_any_ = false;
};

// Relative to the object's directory.
std::string spilled_path(std::string_view name);
// Whether setxattr() failed with ERROR for want of room, or because the file system keeps nothing of that kind.
bool is_want_of_room(int error);

}  // namespace holdfast::rewind
