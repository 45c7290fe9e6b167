#include "rewind/sync/catalog.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/write_at.h"
#include "rewind/image.h"
#include "rewind/reconcile/backing_tree.h"

namespace holdfast::rewind {

namespace {

struct WireItem {
    uint32_t record_bytes;
    uint32_t links;
    uint64_t size;
};
static_assert(sizeof(WireItem) == 16);
constexpr uint64_t bytes_follow = 1ULL << 63;  // in the size
constexpr uint32_t unchanged = 1U << 31;       // in the links

// Read at once where entries follow each other, and where one object is looked up.
constexpr uint64_t listing_bytes = 64 << 10, object_bytes = 1 << 10;

Error damaged(const std::string& why) {
    return {ErrorCode::corrupt, "the catalog of the source's tree makes no sense: " + why};
}

struct FoundItem {
    CatalogItem item;
    size_t bytes;
};

// Borrows from BYTES.
Result<FoundItem> take_item(ByteSpan bytes) {
    WireItem head;
    if (bytes.size() < sizeof head) return damaged("an item is cut off");
    std::memcpy(&head, bytes.data(), sizeof head);
    if (bytes.size() - sizeof head < head.record_bytes) return damaged("an item is cut off");
    FoundRecord found = HF_TRY(take_record(bytes.subspan(sizeof head, head.record_bytes)));
    if (found.bytes != head.record_bytes) return damaged("an item has another length than its record");
    return FoundItem{{std::move(found.record), head.links & ~unchanged, head.size & ~bytes_follow, (head.size & bytes_follow) != 0, (head.links & unchanged) != 0},
                     sizeof head + found.bytes};
}

// Walks the items of the file from an address on.
class Items {
public:
    Items(int fd, uint64_t at, uint64_t end, uint64_t read_ahead) : fd_(fd), at_(at), end_(end), read_ahead_(read_ahead) {}

    uint64_t address() const { return at_; }
    // Nothing: the catalog ends. What it returns borrows until the next call.
    Result<std::optional<CatalogItem>> next() {
        if (at_ == end_) return std::optional<CatalogItem>();
        HF_TRY(need(sizeof(WireItem)));
        WireItem head;
        std::memcpy(&head, bytes_.data() + (at_ - loaded_), sizeof head);
        HF_TRY(need(sizeof head + head.record_bytes));
        FoundItem found = HF_TRY(take_item(ByteSpan(bytes_).subspan(at_ - loaded_)));
        at_ += found.bytes;
        return std::optional(std::move(found.item));
    }

private:
    // At least COUNT bytes from at_ on are loaded.
    Status need(uint64_t count) {
        if (at_ >= loaded_ && at_ + count <= loaded_ + bytes_.size()) return ok();
        const uint64_t wanted = std::min(std::max(count, read_ahead_), end_ - at_);
        bytes_.resize(wanted);
        loaded_ = at_;
        if (wanted < count || HF_TRY(read_fully(fd_, at_, bytes_)) < wanted) return damaged("it was cut off on the disk");
        return ok();
    }

    const int fd_;
    uint64_t at_;
    const uint64_t end_, read_ahead_;
    uint64_t loaded_ = 0;
    std::vector<std::byte> bytes_;
};

// Where an object's item lies; carried in the object's handle, which means nothing else here.
FileHandle address_handle(uint64_t address) {
    return {std::string(reinterpret_cast<const char*>(&address), sizeof address)};
}
uint64_t address_of(const TreeObject& object) {
    uint64_t address = 0;
    std::memcpy(&address, object.handle.bytes.data(), std::min(object.handle.bytes.size(), sizeof address));
    return address;
}

TreeObject object_of(const CatalogItem& item, uint64_t address) {
    TreeObject object;
    const bool is_top = item.record.type == HF_SETATTR;
    const auto& attributes = is_top ? item.record.as<journal::SetAttr>().attributes : item.record.as<journal::Birth>().attributes;
    if (!is_top) object.name = item.record.as<journal::Birth>().name;
    object.id = item.record.object;
    object.handle = address_handle(address);
    object.attributes = {attributes.mode, attributes.uid, attributes.gid, item.links, item.size, is_top ? 0 : item.record.as<journal::Birth>().rdev,
                         attributes.atime_ns, attributes.mtime_ns, attributes.ctime_ns};
    object.is_unchanged = item.is_unchanged;
    return object;
}

// Tells of the objects of a page, each when its last item has come.
class TellObjects {
public:
    explicit TellObjects(const Catalog::Told& told) : told_(told) {}

    Status take(const CatalogItem& item, uint64_t at) {
        if (!told_) return ok();
        if (item.record.type == HF_WRITE) {
            object_->bytes.push_back(item.record.as<journal::Write>());
            return ok();
        }
        if (item.record.type == HF_SETXATTR) {
            if (!object_) return damaged("an object that goes over two pages");
            const journal::Xattr& xattr = item.record.as<journal::SetXattr>().xattr;
            object_->xattrs.emplace_back(xattr.name, xattr.value);
            return ok();
        }
        HF_TRY(finish());
        object_.emplace();
        object_->object = object_of(item, at);
        object_->has_bytes = item.has_bytes;
        if (!journal::is_birth(item.record.type)) return ok();
        const auto& birth = item.record.as<journal::Birth>();
        object_->parent = birth.name.empty() ? ObjectId{} : birth.parent;
        object_->target = birth.target;
        for (const journal::Xattr& xattr : birth.xattrs) object_->xattrs.emplace_back(xattr.name, xattr.value);
        return ok();
    }
    Status finish() {
        if (!object_) return ok();
        std::sort(object_->xattrs.begin(), object_->xattrs.end());
        HF_TRY(told_(*object_));
        object_.reset();
        return ok();
    }

private:
    const Catalog::Told& told_;
    std::optional<CatalogObject> object_;  // whose items are coming
};

}  // namespace

class CatalogDirectory final : public SourceDirectory {
public:
    CatalogDirectory(const Catalog& catalog, const ObjectId& id) : catalog_(catalog), id_(id) {}

    Result<std::vector<TreeObject>> list() override {
        std::vector<TreeObject> objects;
        const Catalog::Listing& listing = catalog_.directories_.at(id_);
        if (!listing.has_begun) return objects;
        Items items(catalog_.file_.get(), listing.begin, catalog_.bytes_, listing_bytes);
        for (uint64_t at = items.address();; at = items.address()) {
            const auto item = HF_TRY(items.next());
            if (!item) return objects;
            if (item->record.type == HF_SETXATTR) continue;
            const auto& birth = item->record.as<journal::Birth>();
            if (birth.name.empty() || birth.parent != id_) return objects;
            objects.push_back(object_of(*item, at));
        }
    }
    Result<XattrList> xattrs(const TreeObject& object) override {
        Items items(catalog_.file_.get(), address_of(object), catalog_.bytes_, object_bytes);
        XattrList found;
        const auto first = HF_TRY(items.next());
        if (first && journal::is_birth(first->record.type))
            for (const journal::Xattr& xattr : first->record.as<journal::Birth>().xattrs) found.emplace_back(xattr.name, xattr.value);
        for (;;) {
            const auto item = HF_TRY(items.next());
            if (!item || item->record.type != HF_SETXATTR) break;
            const journal::Xattr& xattr = item->record.as<journal::SetXattr>().xattr;
            found.emplace_back(xattr.name, xattr.value);
        }
        std::sort(found.begin(), found.end());
        return found;
    }
    Result<std::string> target(const TreeObject& link) override {
        Items items(catalog_.file_.get(), address_of(link), catalog_.bytes_, object_bytes);
        const auto item = HF_TRY(items.next());
        if (!item || item->record.type != HF_SYMLINK) return damaged("a symbolic link is none");
        return std::string(item->record.as<journal::Birth>().target);
    }

private:
    const Catalog& catalog_;
    const ObjectId id_;
};

void append_item(const CatalogItem& item, std::vector<std::byte>& page) {
    const size_t begin = page.size();
    page.resize(begin + sizeof(WireItem));
    append_record(item.record, page);
    const WireItem head{static_cast<uint32_t>(page.size() - begin - sizeof head), item.links | (item.is_unchanged ? unchanged : 0), item.size | (item.has_bytes ? bytes_follow : 0)};
    std::memcpy(&page[begin], &head, sizeof head);
}

Result<Catalog> Catalog::make(const std::string& directory) {
    UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file) return errno_error(errno, "make a file for the catalog of the source's tree in " + quoted(directory));
    return Catalog(std::move(file));
}

Status Catalog::add(ByteSpan page, const Told& told) {
    bytes_wanted_ = {};
    std::vector<std::byte> kept;
    kept.reserve(page.size());
    TellObjects objects(told);
    for (size_t at = 0; at < page.size();) {
        const FoundItem found = HF_TRY(take_item(page.subspan(at)));
        const uint64_t address = bytes_ + kept.size();
        HF_TRY(take(found.item, address));
        HF_TRY(objects.take(found.item, address));
        const ByteSpan item = page.subspan(at, found.bytes);
        if (found.item.record.type != HF_WRITE) kept.insert(kept.end(), item.begin(), item.end());
        at += found.bytes;
    }
    if (!kept.empty() && write_at(file_.get(), kept, bytes_) != static_cast<ssize_t>(kept.size())) return errno_error(errno, "keep the catalog of the source's tree");
    bytes_ += kept.size();
    return objects.finish();
}

Status Catalog::take(const CatalogItem& item, uint64_t at) {
    const hf_record_type type = item.record.type;
    if (item.has_bytes && !journal::is_birth(type)) return damaged("bytes of what is no small file");
    if (type == HF_WRITE) return take_bytes(item);
    if (type != HF_SETXATTR) bytes_wanted_ = {};
    if (type == HF_SETXATTR) {
        const bool fits = is_after_object_ && !is_private_xattr(item.record.as<journal::SetXattr>().xattr.name);
        return fits ? ok() : Status(damaged("an extended attribute without an object"));
    }
    if (journal::is_birth(type)) return take_birth(item, at);
    const bool is_top = type == HF_SETATTR && !has_top_ && item.record.object == journal::root_object && item.record.as<journal::SetAttr>().attributes.valid == HF_ATTR_ALL &&
                        S_ISDIR(item.record.as<journal::SetAttr>().attributes.mode);
    if (!is_top) return damaged("it does not begin with the top, or goes on with what is no object");
    has_top_ = is_after_object_ = true;
    directories_[journal::root_object].self = at;
    return ok();
}

Status Catalog::take_bytes(const CatalogItem& item) {
    const auto& write = item.record.as<journal::Write>();
    const auto& wanted = bytes_wanted_;
    const bool fits = item.record.object == wanted.file && write.offset >= wanted.from && write.offset <= wanted.end && !write.data.empty() && write.data.size() <= wanted.end - write.offset;
    if (!wanted.file || !fits) return damaged("bytes of a file where none belong");
    bytes_wanted_.from = write.offset + write.data.size();
    return ok();
}

Status Catalog::take_birth(const CatalogItem& item, uint64_t at) {
    const auto& birth = item.record.as<journal::Birth>();
    const ObjectId& id = item.record.object;
    if (!has_top_ || !id || id == journal::root_object || birth.attributes.valid != HF_ATTR_ALL) return damaged("an object is not whole");
    for (const journal::Xattr& xattr : birth.xattrs)
        if (is_private_xattr(xattr.name)) return damaged("an extended attribute of the store's own");
    if (item.has_bytes && (item.record.type != HF_CREATE || item.size == 0 || item.size > small_file_bytes_max)) return damaged("bytes of what is no small file");
    if (item.has_bytes) bytes_wanted_ = {id, 0, item.size};
    is_after_object_ = true;
    ++names_;
    if (birth.name.empty()) {
        nameless_.push_back(at);
        current_ = {};
        return ok();
    }
    const auto holder = directories_.find(birth.parent);
    if (holder == directories_.end()) return damaged("the entries of a directory that it does not have");
    if (birth.parent != current_) {
        if (holder->second.has_begun) return damaged("two listings of one directory");
        holder->second.begin = at;
        holder->second.has_begun = true;
        current_ = birth.parent;
    } else if (birth.name <= last_name_) {
        return damaged("the entries of a directory out of order");
    }
    last_name_ = birth.name;
    if (item.record.type == HF_MKDIR && !directories_.emplace(id, Listing{at, 0, false}).second) return damaged("a directory with two names");
    if (item.record.type != HF_MKDIR && directories_.count(id) != 0) return damaged("two objects with one id");
    return ok();
}

Status Catalog::complete() {
    return has_top_ ? ok() : Status(damaged("it is empty"));
}

Result<TreeObject> Catalog::directory(const ObjectId& id) const {
    const auto found = directories_.find(id);
    if (found == directories_.end()) return damaged("a directory is not in it");
    Items items(file_.get(), found->second.self, bytes_, object_bytes);
    const auto item = HF_TRY(items.next());
    if (!item) return damaged("it is empty");
    return object_of(*item, found->second.self);
}

std::vector<ObjectId> Catalog::directories_without_entries() const {
    std::vector<ObjectId> found;
    for (const auto& [id, listing] : directories_)
        if (!listing.has_begun) found.push_back(id);
    return found;
}

Result<TreeObject> CatalogTree::root() {
    return catalog_.directory(journal::root_object);
}

Result<std::unique_ptr<SourceDirectory>> CatalogTree::open(const TreeObject& directory) {
    if (catalog_.directories_.count(directory.id) == 0) return damaged("a directory is not in it");
    return std::unique_ptr<SourceDirectory>(std::make_unique<CatalogDirectory>(catalog_, directory.id));
}

Result<std::vector<TreeObject>> CatalogTree::nameless() {
    std::vector<TreeObject> objects;
    for (const uint64_t at : catalog_.nameless_) {
        Items items(catalog_.file_.get(), at, catalog_.bytes_, object_bytes);
        const auto item = HF_TRY(items.next());
        if (!item) return damaged("it was cut off on the disk");
        objects.push_back(object_of(*item, at));
    }
    return objects;
}

}  // namespace holdfast::rewind
