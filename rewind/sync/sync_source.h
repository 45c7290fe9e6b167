// The source's side of a comparison: tells of the volume as it was at one moment.
//
// It reads a view of the source's own store, not the protected directory: so all that it tells is of one moment, nothing is held up
// for it, and the journal from that moment on continues it exactly. A moment that leaves the window meanwhile ends the
// comparison with a sentence.
//
// Thread rule: one thread. Ownership: the store behind the view outlives it.
#pragma once

#include <deque>
#include <optional>

#include "rewind/sync/catalog.h"
#include "rewind/sync/digest.h"
#include "rewind/sync/object_digest.h"
#include "rewind/view.h"

namespace holdfast::rewind {

inline constexpr size_t catalog_page_bytes = 256 << 10;
// Of a page of objects: how many, how much of each, and how much of all is read for it at least before it ends.
inline constexpr size_t compared_objects_max = 512;
inline constexpr uint64_t compared_inline_bytes = 64 << 10;
inline constexpr uint64_t compared_page_bytes = 4 << 20;
inline constexpr uint64_t compared_stretch_bytes = 4 << 20;

class SyncSource {
public:
    // ORPHANS: what open_orphans() said at the moment AT. PAGE_BYTES: a page of the catalog ends with the object that reaches them.
    SyncSource(const Store& store, Lsn at, std::vector<ObjectId> orphans, size_t page_bytes = catalog_page_bytes)
        : store_(store), view_(store, at), page_bytes_(page_bytes), orphans_(std::move(orphans)) {}

    // The answer to QUESTION, whatever that is.
    std::vector<std::byte> answer(ByteSpan question);

private:
    Result<SyncAnswer> answer_to(const SyncQuestion& question);
    Result<SyncAnswer> shared(const std::vector<ChainPoint>& positions);
    Result<bool> is_unchanged(const ObjectId& object) const;
    Result<SyncAnswer> page(uint32_t bytes_max);
    Status add_top(std::vector<std::byte>& page);
    // With an empty name: of no directory. With its bytes when they are at most BYTES_MAX and it has no other name.
    Status add_object(const ObjectId& directory, const std::string& name, const ObjectId& object, uint32_t bytes_max, std::vector<std::byte>& page);
    Status add_xattrs(const ObjectId& object, const XattrList& xattrs, size_t from, std::vector<std::byte>& page);
    Result<SyncAnswer> digests(const SyncQuestion& question);
    Result<SyncAnswer> bytes(const SyncQuestion& question);
    Status look_at(const ObjectId& object);
    Result<SyncAnswer> objects(const ObjectId& after);
    Result<SyncAnswer> stretch(const SyncQuestion& question);
    Result<SyncAnswer> path(const ObjectId& object);
    Result<ObjectReader*> reader();

    const Store& store_;
    const View view_;
    const size_t page_bytes_;
    std::optional<SyncSecret> secret_;
    Lsn shared_ = 0;  // that both histories have; 0: none

    // The walk, top down.
    bool has_begun_ = false;
    std::deque<ObjectId> directories_;  // still to be listed
    ObjectId listed_;
    std::vector<ViewEntry> entries_;    // of it, from next_ on still to be told
    size_t next_ = 0;
    std::vector<ObjectId> orphans_;     // still to be told

    // The file that was asked for last.
    ObjectId file_;
    std::vector<DataExtent> extents_;

    std::optional<ObjectReader> reader_;
};

}  // namespace holdfast::rewind
