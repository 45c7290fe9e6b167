#include "rewind/apply/batch.h"

#include <cstring>

namespace holdfast::rewind {

MutableByteSpan Arena::make(size_t size) {
    if (chunks_.empty() || chunks_.back().size - chunks_.back().used < size) {
        const size_t chunk = std::max(size, chunk_bytes);
        // Not make_unique: it would fill a megabyte with zeros for every batch.
        chunks_.push_back({std::unique_ptr<std::byte[]>(new std::byte[chunk]), chunk, 0});
    }
    Chunk& chunk = chunks_.back();
    const MutableByteSpan made(chunk.bytes.get() + chunk.used, size);
    chunk.used += size;
    return made;
}

ByteSpan Arena::keep(ByteSpan bytes) {
    if (bytes.empty()) return {};
    const MutableByteSpan copy = make(bytes.size());
    memcpy(copy.data(), bytes.data(), bytes.size());
    return copy;
}

std::string_view Arena::keep(std::string_view text) {
    const ByteSpan copy = keep(bytes_of(text));
    return {reinterpret_cast<const char*>(copy.data()), copy.size()};
}

void Arena::clear() {
    // The first chunk is kept for the next use; more than one was an exception.
    if (chunks_.size() > 1) chunks_.resize(1);
    if (!chunks_.empty()) chunks_.front().used = 0;
}

namespace {

struct Borrowed {
    Arena& arena;

    void operator()(journal::Write& body) const { body.data = arena.keep(body.data); }
    void operator()(journal::Birth& body) const {
        body.name = arena.keep(body.name);
        body.target = arena.keep(body.target);
        for (journal::Xattr& xattr : body.xattrs) (*this)(xattr);
    }
    void operator()(journal::Link& body) const { body.name = arena.keep(body.name); }
    void operator()(journal::Unlink& body) const { body.name = arena.keep(body.name); }
    void operator()(journal::Rename& body) const {
        body.old_name = arena.keep(body.old_name);
        body.new_name = arena.keep(body.new_name);
    }
    void operator()(journal::SetXattr& body) const { (*this)(body.xattr); }
    void operator()(journal::RemoveXattr& body) const { body.name = arena.keep(body.name); }
    void operator()(journal::Bookmark& body) const { body.name = arena.keep(body.name); }
    void operator()(journal::Gap& body) const { body.sentence = arena.keep(body.sentence); }
    void operator()(journal::Xattr& xattr) const {
        xattr.name = arena.keep(xattr.name);
        xattr.value = arena.keep(xattr.value);
    }
    // The others borrow nothing.
    void operator()(journal::Truncate&) const {}
    void operator()(journal::Fallocate&) const {}
    void operator()(journal::SetAttr&) const {}
    void operator()(journal::OrphanEnd&) const {}
    void operator()(journal::Session&) const {}
    void operator()(journal::SegmentEnd&) const {}
    void operator()(journal::Marker&) const {}
};

}  // namespace

Record copy_record(const Record& record, Arena& arena) {
    Record copy = record;
    std::visit(Borrowed{arena}, copy.body);
    return copy;
}

void Batch::add(const Record& record) {
    records_.push_back(copy_record(record, arena_));
    bytes_ += record.length;
}

}  // namespace holdfast::rewind
