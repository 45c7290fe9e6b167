// The tree that an image is made equal to: the backing tree of this host (backing_tree.h), or what the source of a replica told of
// its own (sync/catalog.h).
//
// Errors are errors: a listing that fails is never an empty listing.
// Thread rule: one thread. A directory must not outlive its tree.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file_handle.h"
#include "base/result.h"
#include "rewind/baseline_sink.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

struct TreeObject {
    std::string name;  // in the directory where it was found; "" for the top
    ObjectId id;
    FileHandle handle;  // of the backing tree alone
    ObjectAttributes attributes;
    bool is_unchanged = false;  // a file of another host's tree: nothing happened to it there since the position that both histories share
};

class SourceDirectory {
public:
    virtual ~SourceDirectory() = default;
    // Everything in it, sorted by name.
    virtual Result<std::vector<TreeObject>> list() = 0;
    // Of an entry, or of the directory itself when its name is empty; the product's own are left out. Sorted.
    virtual Result<XattrList> xattrs(const TreeObject& object) = 0;
    virtual Result<std::string> target(const TreeObject& link) = 0;
    // True: what is in it belongs to nobody's history (journal/left_out.h); it lists nothing, and its times say nothing.
    virtual bool is_left_out() const { return false; }
};

class SourceTree {
public:
    virtual ~SourceTree() = default;
    // The top, which is journal::root_object.
    virtual Result<TreeObject> root() = 0;
    virtual Result<std::unique_ptr<SourceDirectory>> open(const TreeObject& directory) = 0;
    // Regular files without a name that are still open somewhere, so that records about them may follow. Their xattrs are asked of
    // the top.
    virtual Result<std::vector<TreeObject>> nameless() { return std::vector<TreeObject>(); }
};

}  // namespace holdfast::rewind
