// The catalog of a source's tree at one moment, as its replica has fetched it: every object with its names, attributes, xattrs
// and target, but no bytes of files. It is complete before anything is decided by it, so that a listing that broke off
// deletes nothing.
//
//     page = { item }
//     item = { u32 bytes of the record, u32 links, u64 size, record }          little-endian; the highest bit of the size: its bytes follow; of the
//                                                                             links: it did not change since the position that both histories share
//
// The first item is SETATTR of the top. Any other object is a record of birth, once for each of its names; the entries of one directory
// follow each other, sorted by name, and the directory itself has come before. Files without a name that are open at the source have no
// directory. SETXATTR items add to the object before them. WRITE items, in the same page, are the bytes of the file before them where its birth says
// so; what they leave out is holes.
//
// Trust: the source may be hostile. Names and values keep the journal's rules, a directory has one name and one listing; what breaks
// that is refused with corrupt.
// Memory: 48 bytes for each directory. The pages lie, without the bytes of files, in a file without a name, which goes with this object.
// Thread rule: one thread.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "base/unique_fd.h"
#include "rewind/reconcile/source_tree.h"
#include "rewind/sync/sync_messages.h"

namespace holdfast::rewind {

struct CatalogItem {
    journal::Record record;  // SETATTR, a birth, SETXATTR, or WRITE
    uint32_t links = 0;
    uint64_t size = 0;
    bool has_bytes = false;     // a birth's: WRITE items tell them
    bool is_unchanged = false;  // a birth's: as TreeObject has it
};
void append_item(const CatalogItem& item, std::vector<std::byte>& page);

// One name of an object, as a page tells it; it borrows from the page. One whose items go over two pages is told without those of the second.
struct CatalogObject {
    TreeObject object;
    ObjectId parent;  // zero: of no directory
    std::string_view target;
    XattrList xattrs;  // sorted
    bool has_bytes = false;
    std::vector<journal::Write> bytes;  // ascending, disjoint, within the size
};

class Catalog {
public:
    // DIRECTORY: where there is room for it, as the store's.
    static Result<Catalog> make(const std::string& directory);

    using Told = std::function<Status(const CatalogObject& object)>;

    // TOLD: what the page tells of, in order, the top as well. Errors: corrupt, no_space, io, TOLD's; then it is of no more use.
    Status add(ByteSpan page, const Told& told = {});
    // Errors: corrupt when something is missing.
    Status complete();
    uint64_t names() const { return names_; }
    // REQUIRES: its page was added.
    Result<TreeObject> directory(const ObjectId& id) const;
    // Those that no entry has come of.
    std::vector<ObjectId> directories_without_entries() const;

private:
    friend class CatalogTree;
    friend class CatalogDirectory;
    explicit Catalog(UniqueFd file) : file_(std::move(file)) {}
    Status take(const CatalogItem& item, uint64_t at);
    Status take_birth(const CatalogItem& item, uint64_t at);
    Status take_bytes(const CatalogItem& item);

    UniqueFd file_;
    uint64_t bytes_ = 0;
    uint64_t names_ = 0;
    bool has_top_ = false;
    struct Listing { uint64_t self = 0, begin = 0; bool has_begun = false; };  // addresses in the file
    std::unordered_map<ObjectId, Listing> directories_;
    std::vector<uint64_t> nameless_;  // addresses
    ObjectId current_;       // the directory whose entries come now
    std::string last_name_;  // of them
    bool is_after_object_ = false;
    struct { ObjectId file; uint64_t from = 0, end = 0; } bytes_wanted_;  // WRITE items may tell of it from FROM to END
};

// The tree that a complete catalog tells of.
class CatalogTree final : public SourceTree {
public:
    explicit CatalogTree(const Catalog& catalog) : catalog_(catalog) {}
    Result<TreeObject> root() override;
    Result<std::unique_ptr<SourceDirectory>> open(const TreeObject& directory) override;
    Result<std::vector<TreeObject>> nameless() override;

private:
    const Catalog& catalog_;
};

}  // namespace holdfast::rewind
