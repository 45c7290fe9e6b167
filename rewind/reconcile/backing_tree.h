// The backing tree as reconciliation reads it: beneath held descriptors, one component at a time, symbolic links never
// followed. Directories are opened again by file handle, so that neither the depth nor the width of a tree costs
// descriptors.
//
// Errors are errors: a listing that fails is never an empty listing. Only an entry that is gone between listing
// and looking is left out, because then it is gone.
// Thread rule: one thread.
#pragma once

#include <utility>

#include "base/unique_fd.h"
#include "rewind/reconcile/source_tree.h"

namespace holdfast::rewind {

class BackingTree final : public SourceTree {
public:
    // BACKING_FD may be an O_PATH descriptor; it is borrowed for the call only. Errors: unsupported when the file
    // system has no file handles.
    static Result<BackingTree> open(int backing_fd, uint32_t origin);

    Result<TreeObject> root() override { return top(); }
    // Errors of its list(): unsupported when another file system is mounted in it.
    Result<std::unique_ptr<SourceDirectory>> open(const TreeObject& directory) override;

    // NAME in DIRECTORY_FD, or DIRECTORY_FD itself, of whatever type, when NAME is empty. Errors: those of the system call.
    Result<TreeObject> examine(int directory_fd, const std::string& name) const;
    Result<UniqueFd> open_top() const;
    // By its handle; the top as well. FLAGS as for open. Error not_found: it is gone.
    Result<UniqueFd> open_handle(const FileHandle& handle, int flags) const;

private:
    BackingTree(UniqueFd root, uint32_t origin, uint64_t device)
        : root_(std::move(root)), origin_(origin), device_(device) {}
    Result<TreeObject> top() const;

    UniqueFd root_;
    uint32_t origin_;
    uint64_t device_;
};

class BackingDirectory final : public SourceDirectory {
public:
    BackingDirectory(const BackingTree& tree, UniqueFd fd) : tree_(tree), fd_(std::move(fd)) {}
    Result<std::vector<TreeObject>> list() override;
    Result<XattrList> xattrs(const TreeObject& object) override;
    Result<std::string> target(const TreeObject& link) override;
    int fd() const { return fd_.get(); }

private:
    const BackingTree& tree_;
    const UniqueFd fd_;
};

// Of NAME in DIRECTORY_FD, or of DIRECTORY_FD itself when NAME is empty; the product's own xattrs are left out. Sorted.
Result<XattrList> xattrs_at(int directory_fd, const std::string& name);
// A regular file for reading, without leaving a trace in its atime where that is allowed.
Result<UniqueFd> open_file_at(int directory_fd, const std::string& name);
// Reads until INTO is full or the file ends; returns the bytes read.
Result<size_t> read_fully(int fd, uint64_t offset, MutableByteSpan into);

}  // namespace holdfast::rewind
