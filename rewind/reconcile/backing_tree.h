// The backing tree as reconciliation reads it: beneath held descriptors, one component at a time, symbolic links never
// followed. Directories are opened again by file handle, so that neither the depth nor the width of a tree costs
// descriptors.
//
// Errors are errors: a listing that fails is never an empty listing. Only an entry that is gone between listing
// and looking is left out, because then it is gone.
// Thread rule: const methods from any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/file_handle.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "rewind/baseline_sink.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

struct TreeObject {
    std::string name;  // in the directory where it was found; "" for the top
    ObjectId id;
    FileHandle handle;
    ObjectAttributes attributes;
};

class BackingTree {
public:
    // BACKING_FD may be an O_PATH descriptor; it is borrowed for the call only. Errors: unsupported when the file
    // system has no file handles.
    static Result<BackingTree> open(int backing_fd, uint32_t origin);

    // The top, which is journal::root_object.
    Result<TreeObject> root() const;
    Result<UniqueFd> open_directory(const TreeObject& directory) const;
    // Everything in it, sorted by name. Errors: unsupported when another file system is mounted in it.
    Result<std::vector<TreeObject>> list(int directory_fd) const;

    int root_fd() const { return root_.get(); }

private:
    BackingTree(UniqueFd root, uint32_t origin, uint64_t device)
        : root_(std::move(root)), origin_(origin), device_(device) {}
    Result<TreeObject> examine(int directory_fd, const std::string& name) const;

    UniqueFd root_;
    uint32_t origin_;
    uint64_t device_;
};

// Of NAME in DIRECTORY_FD, or of DIRECTORY_FD itself when NAME is empty; the product's own xattrs are left out. Sorted.
Result<XattrList> xattrs_at(int directory_fd, const std::string& name);
Result<std::string> readlink_at(int directory_fd, const std::string& name);
// A regular file for reading, without leaving a trace in its atime where that is allowed.
Result<UniqueFd> open_file_at(int directory_fd, const std::string& name);
// Reads until INTO is full or the file ends; returns the bytes read.
Result<size_t> read_fully(int fd, uint64_t offset, MutableByteSpan into);

}  // namespace holdfast::rewind
