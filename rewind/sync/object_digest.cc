#include "rewind/sync/object_digest.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t piece_bytes = 16 * compared_block_bytes;

struct WireStretch {
    uint64_t end;
    uint64_t blocks;
    Digest digest;
};
static_assert(sizeof(WireStretch) == 32);

struct WireObject {
    hf_object_id object;
    uint32_t mode, uid, gid, links;
    uint64_t rdev, size;
    Digest content, xattrs;
    WireStretch bytes;
};
static_assert(sizeof(WireObject) == 112);

bool is_zero(const std::byte* block, size_t count) {
    return block[0] == std::byte{0} && std::memcmp(block, block + 1, count - 1) == 0;
}

Digest digest_of(const decltype(ViewObject::xattrs)& xattrs, const SyncSecret& secret) {
    DigestState hash(secret);
    for (const auto& [name, value] : xattrs) {
        hash.add(name);
        hash.add(value);
    }
    return hash.digest();
}

Error damaged(const char* why) {
    return {ErrorCode::corrupt, std::string("what the source tells of its objects makes no sense: ") + why};
}

bool is_end(uint64_t end, uint64_t offset, uint64_t size) {
    return end > offset && end <= size && (end % compared_block_bytes == 0 || end == size);
}

}  // namespace

Result<std::vector<ObjectId>> ObjectReader::ids_after(const ObjectId& after, size_t limit) const {
    return store_.index().objects_after(after, limit);
}

Result<std::optional<ObjectDigest>> ObjectReader::look(const ObjectId& object, uint64_t data_bytes) {
    using Looked = std::optional<ObjectDigest>;
    const auto location = HF_TRY(store_.index().location(object));
    if (!location || !HF_TRY(store_.index().existed_at(object, view().at()))) return Looked();
    const ViewObject seen = HF_TRY(view().look(object, 0));
    const ObjectAttributes& attributes = seen.attributes;
    const auto links = HF_TRY(links_of(object, *location, attributes.nlink));
    if (!links) return Looked();
    ObjectDigest digest;
    digest.object = object;
    digest.mode = attributes.mode;
    digest.uid = attributes.uid;
    digest.gid = attributes.gid;
    digest.links = *links;
    digest.rdev = S_ISCHR(attributes.mode) || S_ISBLK(attributes.mode) ? attributes.rdev : 0;
    digest.xattrs = digest_of(seen.xattrs, secret_);
    digest.content = HF_TRY(content_of(object, attributes.mode));
    if (!S_ISREG(attributes.mode)) return Looked(digest);
    digest.size = attributes.size;
    if (digest.size > 0) digest.bytes = HF_TRY(read(object, 0, {digest.size, data_bytes, UINT64_MAX}));
    return Looked(digest);
}

Status ObjectReader::check_moment() const {
    return store_.check_moment(view().at());
}

Result<std::optional<ObjectDigest>> ObjectReader::look_anyway(const ObjectId& object, uint64_t data_bytes) {
    auto looked = look(object, data_bytes);
    if (looked) return looked;
    HF_TRY(check_moment());
    log_warning("Object " + journal::to_string(object) + " of the image cannot be compared: " + looked.error().message + ".");
    ObjectDigest unread;
    unread.object = object;
    return std::optional(unread);
}

// Nothing: it had no name. What was not touched since the moment has the names that it has now; of the rest the names are looked up.
Result<std::optional<uint32_t>> ObjectReader::links_of(const ObjectId& object, const ImageLocation& location, uint32_t told) {
    using Links = std::optional<uint32_t>;
    if (object == journal::root_object) return Links(told);
    const bool is_touched = HF_TRY(store_.index().attributes_at(object, view().at())).has_value();
    if (!is_touched && location.links == 0) return Links();
    if (!is_touched) return Links(told);
    const auto names = HF_TRY(names_.names(object));
    if (names.empty()) return Links();
    return Links(S_ISDIR(location.mode) ? told : static_cast<uint32_t>(names.size()));
}

Result<Digest> ObjectReader::content_of(const ObjectId& object, uint32_t mode) {
    DigestState hash(secret_);
    if (S_ISLNK(mode)) hash.add(HF_TRY(view().readlink(object)));
    if (S_ISDIR(mode)) {
        for (const ViewEntry& entry : HF_TRY(view().list(object))) {
            hash.add(entry.name);
            hash.add(&entry.object, sizeof entry.object);
        }
    }
    return hash.digest();
}

Status ObjectReader::look_at(const ObjectId& object) {
    if (file_ == object) return ok();
    extents_ = HF_TRY(view().data_extents(object));
    size_ = HF_TRY(view().attributes(object)).size;
    file_ = object;
    return ok();
}

Result<std::optional<Stretch>> ObjectReader::stretch(const ObjectId& object, uint64_t offset, uint64_t data_bytes) {
    const auto location = HF_TRY(store_.index().location(object));
    const bool is_file = location && S_ISREG(location->mode) && HF_TRY(store_.index().existed_at(object, view().at()));
    if (is_file) HF_TRY(look_at(object));
    if (!is_file || offset >= size_) return std::optional<Stretch>();
    return std::optional(HF_TRY(read(object, offset, {size_, data_bytes, UINT64_MAX})));
}

Result<Stretch> ObjectReader::stretch_to(const ObjectId& object, uint64_t offset, uint64_t end, uint64_t blocks) {
    return read(object, offset, {end, UINT64_MAX, blocks});
}

Result<Stretch> ObjectReader::read(const ObjectId& object, uint64_t offset, const Bounds& bounds) {
    HF_TRY(look_at(object));
    DigestState hash(secret_);
    Stretch stretch;
    Buffer bytes(piece_bytes);
    uint64_t at = offset, taken = 0;
    for (const DataExtent& extent : clipped(extents_, offset, bounds.end - offset)) {
        const uint64_t extent_end = extent.offset + extent.length;
        at = std::max(at, extent.offset - extent.offset % compared_block_bytes);
        while (at < extent_end) {
            if (taken >= bounds.data_bytes || stretch.blocks > bounds.blocks) {
                stretch.end = at;
                stretch.digest = hash.digest();
                return stretch;
            }
            const uint64_t wanted = std::min({piece_bytes, extent_end - at + (compared_block_bytes - extent_end % compared_block_bytes) % compared_block_bytes, bounds.end - at});
            const MutableByteSpan piece(bytes.data(), wanted);
            const size_t got = HF_TRY(view().read(object, at, piece));
            std::fill(bytes.data() + got, bytes.data() + piece_bytes, std::byte{0});
            for (uint64_t block = 0; block < wanted; block += compared_block_bytes) {
                if (is_zero(bytes.data() + block, compared_block_bytes)) continue;
                const uint64_t address = at + block;
                hash.add(&address, sizeof address);
                hash.add(bytes.data() + block, compared_block_bytes);
                ++stretch.blocks;
            }
            at += wanted;
            taken += wanted;
            bytes_read_ += wanted;
        }
    }
    stretch.end = bounds.end;
    stretch.digest = hash.digest();
    return stretch;
}

Result<std::optional<std::string>> ObjectReader::path(const ObjectId& object) {
    if (object == journal::root_object) return std::optional<std::string>("");
    const auto names = HF_TRY(names_.names(object));
    if (names.empty()) return std::optional<std::string>();
    return names_.path(names.front());
}

std::vector<std::byte> encode_objects(const ObjectPage& page) {
    std::vector<std::byte> payload;
    payload.reserve(sizeof(hf_object_id) + page.objects.size() * sizeof(WireObject));
    const auto append = [&](ByteSpan bytes) { payload.insert(payload.end(), bytes.begin(), bytes.end()); };
    append(bytes_of(to_disk(page.to)));
    for (const ObjectDigest& object : page.objects)
        append(bytes_of(WireObject{to_disk(object.object), object.mode, object.uid, object.gid, object.links, object.rdev, object.size, object.content, object.xattrs,
                                   {object.bytes.end, object.bytes.blocks, object.bytes.digest}}));
    return payload;
}

std::vector<std::byte> encode_stretch(const std::optional<Stretch>& stretch) {
    if (!stretch) return {};
    const WireStretch wire{stretch->end, stretch->blocks, stretch->digest};
    const ByteSpan bytes = bytes_of(wire);
    return {bytes.begin(), bytes.end()};
}

Result<ObjectPage> decode_objects(ByteSpan payload, const ObjectId& after) {
    hf_object_id to;
    if (payload.size() < sizeof to || (payload.size() - sizeof to) % sizeof(WireObject) != 0) return damaged("an object is cut off");
    std::memcpy(&to, payload.data(), sizeof to);
    ObjectPage page{journal::from_disk(to), {}};
    page.objects.reserve(payload.size() / sizeof(WireObject));
    ObjectId last = after;
    for (size_t at = sizeof to; at < payload.size(); at += sizeof(WireObject)) {
        WireObject wire;
        std::memcpy(&wire, payload.data() + at, sizeof wire);
        const ObjectDigest object{journal::from_disk(wire.object), wire.mode, wire.uid, wire.gid, wire.links, wire.rdev, wire.size, wire.content, wire.xattrs,
                                  {wire.bytes.end, wire.bytes.blocks, wire.bytes.digest}};
        if (object.object <= last || object.object > page.to) return damaged("objects out of order");
        const bool has_bytes = S_ISREG(object.mode) && object.size > 0;
        if (object.size > INT64_MAX || (has_bytes ? !is_end(object.bytes.end, 0, object.size) : object.bytes.end != 0)) return damaged("a file that ends nowhere");
        last = object.object;
        page.objects.push_back(object);
    }
    if (page.to <= after) return damaged("a page of objects that leads nowhere");
    return page;
}

Result<std::optional<Stretch>> decode_stretch(ByteSpan payload, uint64_t offset) {
    if (payload.empty()) return std::optional<Stretch>();
    WireStretch wire;
    if (payload.size() != sizeof wire) return damaged("bytes of a file that are none");
    std::memcpy(&wire, payload.data(), sizeof wire);
    if (wire.end <= offset || wire.end > INT64_MAX) return damaged("bytes of a file that end before they begin");
    return std::optional(Stretch{wire.end, wire.blocks, wire.digest});
}

}  // namespace holdfast::rewind
