// Where a first copy puts its objects: straight into the image, outside of the journal and without undo. The tree
// walker (reconcile) decides what to make; this class makes it, by object id, and keeps the index's locations.
//
// Nothing here is history: before the first copy is finished no moment of the volume is offered, so a first copy
// that was interrupted is simply continued. find() says what is already there; remove() takes away what the backing
// tree no longer has.
//
// Names are single components beneath the parent's descriptor; symbolic links are never followed. The id is written
// to the object before anything else is, so that an interrupted make() is recognized and repeated.
//
// Thread rule: one thread, while nothing is applied. Durable after commit().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rewind/index/index.h"

namespace holdfast::rewind {

class Image;

using XattrList = std::vector<std::pair<std::string, std::string>>;

struct BaselineObject {
    ObjectId id;
    ObjectId parent;             // must exist in the image
    std::string name;            // empty: nameless (an orphan that is still open), it goes to the graveyard
    ObjectAttributes attributes; // mode with type bits; rdev for special files
    std::string target;          // symbolic links
    XattrList xattrs;            // without the product's own
};

class BaselineSink {
public:
    // Told the bytes that were copied (or cloned) since the last call.
    using Progress = std::function<void(uint64_t bytes)>;

    // IMAGE and INDEX outlive the sink. Store::baseline() makes one.
    BaselineSink(const Image& image, Index& index);
    ~BaselineSink();

    // Makes an object with its owner, mode and xattrs; regular files are empty. Does nothing when the object is
    // already at that name. Errors: exists when the name belongs to another object.
    Status make(const BaselineObject& object);
    // Makes the file's bytes those of SOURCE_FD up to SIZE: cloned where the file system can (FICLONE), else copied
    // extent by extent, holes stay holes. What the file held before is gone.
    Status copy_data(const ObjectId& object, int source_fd, uint64_t size, const Progress& progress = {});
    // The bytes of a file that was just made: DATA, ascending and disjoint, and holes up to SIZE.
    Status fill(const ObjectId& object, uint64_t size, const std::vector<journal::Write>& data);
    // The file, open for reading and writing, as long as no other of its kind is asked for.
    Result<int> file(const ObjectId& object);
    // One more name for an object that exists. Does nothing when the name already leads to it.
    Status link(const ObjectId& object, const ObjectId& parent, const std::string& name);
    // Owner, mode, xattrs (others are removed) and times, in the order in which they do not undo each other. Called
    // for every object after its data, for directories after their entries; for root_object as well.
    Status finish(const ObjectId& object, const ObjectAttributes& attributes, const XattrList& xattrs);
    // Takes a name away; with the last name the object. Directories with all beneath. PARENT zero: from the graveyard.
    Status remove(const ObjectId& parent, const std::string& name);

    // What the image holds. Nothing: no such object, no such name.
    Result<std::optional<ImageLocation>> find(const ObjectId& object) const;
    Result<std::optional<ObjectId>> lookup(const ObjectId& parent, const std::string& name) const;

    // Syncs the image and flushes the locations. Cheap enough for every few seconds of copying.
    Status commit();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::rewind
