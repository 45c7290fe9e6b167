// The backing tree as reconciliation reads it: beneath held descriptors, one component at a time, symbolic links never
// followed. Directories are opened again by file handle, so that neither the depth nor the width of a tree costs
// descriptors.
//
// A directory that is left out (journal/left_out.h) is an empty one here: nothing in it is looked at. Which these are is found when the tree is
// opened; one that is not there then, or is no directory, leaves nothing out.
//
// Errors are errors: a listing that fails is never an empty listing. Only an entry that is gone between listing
// and looking is left out, because then it is gone.
// Thread rule: one thread.
#pragma once

#include <functional>
#include <unordered_set>
#include <utility>

#include "base/unique_fd.h"
#include "journal/left_out.h"
#include "rewind/reconcile/source_tree.h"

namespace holdfast::rewind {

// What tells the objects of one tree from those of others.
struct TreeIdentity {
    uint64_t device = 0;
    uint32_t origin = 0;

    // NAME in DIRECTORY_FD, or DIRECTORY_FD itself, of whatever type, when NAME is empty. Errors: those of the system call; unsupported when
    // it is of another file system.
    Result<TreeObject> examine(int directory_fd, const std::string& name) const;
};

class BackingTree final : public SourceTree {
public:
    // A directory of the tree by its handle, for reading. Errors: not_found: it is gone.
    using OpenDirectory = std::function<Result<UniqueFd>(const FileHandle&)>;
    // BACKING_FD may be an O_PATH descriptor; it is borrowed for the call only. OPEN_DIRECTORY: by default this process opens them itself. Errors:
    // unsupported when the file system has no file handles.
    static Result<BackingTree> open(int backing_fd, uint32_t origin, const journal::LeftOut& left_out = {}, OpenDirectory open_directory = {});

    Result<TreeObject> root() override { return top(); }
    // Errors of its list(): unsupported when another file system is mounted in it.
    Result<std::unique_ptr<SourceDirectory>> open(const TreeObject& directory) override;

    Result<TreeObject> examine(int directory_fd, const std::string& name) const { return identity_.examine(directory_fd, name); }
    Result<UniqueFd> open_top() const;

private:
    BackingTree(UniqueFd root, const TreeIdentity& identity) : root_(std::move(root)), identity_(identity) {}
    Result<TreeObject> top() const;
    Status find_left_out(const journal::LeftOut& left_out);

    UniqueFd root_;
    TreeIdentity identity_;
    std::unordered_set<ObjectId> left_out_;
    OpenDirectory open_directory_;
};

class BackingDirectory final : public SourceDirectory {
public:
    BackingDirectory(const BackingTree& tree, UniqueFd fd, bool is_left_out) : tree_(tree), fd_(std::move(fd)), is_left_out_(is_left_out) {}
    Result<std::vector<TreeObject>> list() override;
    Result<XattrList> xattrs(const TreeObject& object) override;
    Result<std::string> target(const TreeObject& link) override;
    bool is_left_out() const override { return is_left_out_; }
    int fd() const { return fd_.get(); }

private:
    const BackingTree& tree_;
    const UniqueFd fd_;
    const bool is_left_out_;
};

// Of NAME in DIRECTORY_FD, or of DIRECTORY_FD itself when NAME is empty; the product's own xattrs are left out. Sorted.
Result<XattrList> xattrs_at(int directory_fd, const std::string& name);
// A regular file for reading, without leaving a trace in its atime where that is allowed.
Result<UniqueFd> open_file_at(int directory_fd, const std::string& name);
// Reads until INTO is full or the file ends; returns the bytes read.
Result<size_t> read_fully(int fd, uint64_t offset, MutableByteSpan into);

}  // namespace holdfast::rewind
