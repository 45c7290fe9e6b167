// What one host tells another of an object at one moment, so that both see whether they have the same without sending it.
//
// Compared are the names, owner, mode, size, link count, device, extended attributes and bytes. Not compared are times: those of a file that is
// being written are settled when it is closed, and until then they are the host's own. Where the holes of a file lie is not compared
// either, because file systems differ in that; a block of zeros is as good as none.
//
//     bytes of a file = the blocks of 4 KiB that are not all zeros, each with its address, in order
//
// Digests are xxh3 with 128 bits by the asking side's secret (digest.h).
// Thread rule: one thread. Ownership: the store outlives a reader.
#pragma once

#include <optional>
#include <vector>

#include "rewind/restore/names_at.h"
#include "rewind/sync/digest.h"

namespace holdfast::rewind {

inline constexpr uint64_t compared_block_bytes = 4096;
// Behind all others.
inline constexpr ObjectId last_object{UINT64_MAX, UINT32_MAX, UINT32_MAX};

// The bytes of a file from where was asked up to `end`, which is the file's end or that of a block.
struct Stretch {
    uint64_t end = 0;
    uint64_t blocks = 0;  // that are not all zeros
    Digest digest{};
    bool operator==(const Stretch&) const = default;
};

struct ObjectDigest {
    ObjectId object;
    uint32_t mode = 0, uid = 0, gid = 0;  // mode 0: it is there, and could not be read
    uint32_t links = 0;
    uint64_t rdev = 0;
    uint64_t size = 0;   // of a file, else 0
    Digest content{};    // of a directory: names and what they lead to; of a link: its target
    Digest xattrs{};
    Stretch bytes;       // of a file: from its beginning on
};

class ObjectReader {
public:
    ObjectReader(const Store& store, Lsn at, const SyncSecret& secret) : store_(store), names_(store, at), secret_(secret) {}

    // The next objects behind AFTER in the order of ids that the store has or had; at most LIMIT. Some were not there at the moment.
    Result<std::vector<ObjectId>> ids_after(const ObjectId& after, size_t limit) const;
    // Nothing: it had no name at the moment. Of a file's bytes as many as DATA_BYTES.
    Result<std::optional<ObjectDigest>> look(const ObjectId& object, uint64_t data_bytes);
    // The same, and mode 0 where the image is damaged. Errors: the moment has left the window.
    Result<std::optional<ObjectDigest>> look_anyway(const ObjectId& object, uint64_t data_bytes);
    // From OFFSET on, until DATA_BYTES were read or the file ends. Nothing: there is no such file, or it ends before.
    Result<std::optional<Stretch>> stretch(const ObjectId& object, uint64_t offset, uint64_t data_bytes);
    // Up to END. Stops reading when there are more than BLOCKS, and tells one more then.
    Result<Stretch> stretch_to(const ObjectId& object, uint64_t offset, uint64_t end, uint64_t blocks);
    // Why nothing can be told of the moment any more.
    Status check_moment() const;
    // The first of its names, from the top. Nothing: it had none.
    Result<std::optional<std::string>> path(const ObjectId& object);
    uint64_t bytes_read() const { return bytes_read_; }

private:
    struct Bounds { uint64_t end, data_bytes, blocks; };
    Result<Stretch> read(const ObjectId& object, uint64_t offset, const Bounds& bounds);
    Status look_at(const ObjectId& object);
    Result<std::optional<uint32_t>> links_of(const ObjectId& object, const ImageLocation& location, uint32_t told);
    Result<Digest> content_of(const ObjectId& object, uint32_t mode);
    const View& view() const { return names_.view(); }

    const Store& store_;
    NamesAt names_;
    const SyncSecret secret_;
    // The file that was read last.
    ObjectId file_;
    std::vector<DataExtent> extents_;
    uint64_t size_ = 0;
    uint64_t bytes_read_ = 0;
};

// All objects behind where was asked, up to `to`.
struct ObjectPage {
    ObjectId to;
    std::vector<ObjectDigest> objects;
};
// For the wire: little-endian, { id `to`, objects of fixed size }.
std::vector<std::byte> encode_objects(const ObjectPage& page);
std::vector<std::byte> encode_stretch(const std::optional<Stretch>& stretch);
// Errors: corrupt: not whole, ids that do not ascend from AFTER to `to`, an end that is none.
Result<ObjectPage> decode_objects(ByteSpan payload, const ObjectId& after);
// Of a file asked from OFFSET on. Nothing: the source has nothing there.
Result<std::optional<Stretch>> decode_stretch(ByteSpan payload, uint64_t offset);

}  // namespace holdfast::rewind
