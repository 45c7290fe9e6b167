// A view: the volume as it was at one moment, computed on demand. Nothing is materialized; a view costs nothing
// until it is asked, and then what changed since, not what exists.
//
// How it stays exact while the applier runs, without a lock: every question reads the image FIRST and asks the
// index SECOND. The applier indexes an undo BEFORE it changes the image. So if the index knows of no undo after
// T, the bytes that were read are those of T; if it does, the undo replaces them.
//
// Thread rule: const methods from any thread. The store outlives its views. A view that falls out of the window
// while it is being read answers not_found with a sentence.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rewind/index/index.h"

namespace holdfast::rewind {

class Store;

struct ViewEntry {
    std::string name;
    ObjectId object;
    uint32_t mode;  // type bits
};

struct DataExtent {
    uint64_t offset, length;  // the rest of the file is holes
};

// All of an object at once.
struct ViewObject {
    ObjectAttributes attributes;
    std::vector<std::pair<std::string, std::string>> xattrs;
    struct Data { uint64_t offset; std::vector<std::byte> bytes; };
    bool has_data = false;  // DATA tells it
    std::vector<Data> data;  // ascending, disjoint; the rest of the file is holes
};

class View {
public:
    // REQUIRES: store.check_moment(at) succeeded.
    View(const Store& store, Lsn at) : store_(store), at_(at) {}
    Lsn at() const { return at_; }

    Result<ObjectId> lookup(const ObjectId& directory, std::string_view name) const;
    // Component by component from the root; "" is the root. Symbolic links are not followed.
    Result<ObjectId> resolve(std::string_view path) const;
    Result<std::vector<ViewEntry>> list(const ObjectId& directory) const;  // sorted by name
    // Link counts of directories are 2 + subdirectories.
    Result<ObjectAttributes> attributes(const ObjectId& object) const;
    Result<size_t> read(const ObjectId& object, uint64_t offset, MutableByteSpan into) const;
    Result<std::vector<DataExtent>> data_extents(const ObjectId& object) const;
    Result<std::string> readlink(const ObjectId& object) const;
    Result<std::vector<std::pair<std::string, std::string>>> xattrs(const ObjectId& object) const;
    // The answers of attributes(), xattrs() and, for a regular file of 1 to DATA_BYTES_MAX bytes, read(): one visit of the image where
    // nothing was applied since this moment.
    Result<ViewObject> look(const ObjectId& object, uint64_t data_bytes_max) const;

private:
    Result<UniqueFd> open_in_image(const ObjectId& object, int flags) const;
    Result<uint32_t> type_of(const ObjectId& object) const;
    // What the image said before this was asked is of this moment, whatever it was about.
    bool is_present() const;
    Result<ViewObject> look_at_image(const ObjectId& object, uint64_t data_bytes_max) const;
    Result<uint32_t> directory_links(const ObjectId& directory, uint32_t image_links) const;

    const Store& store_;
    Lsn at_;
};

}  // namespace holdfast::rewind
