#include "rewind/heal/touched_repair.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace holdfast::rewind {

namespace {

bool is_directory(const TreeObject& object) {
    return S_ISDIR(object.attributes.mode);
}

// What was looked at, for those who ask a directory.
class Remembered final : public SourceDirectory {
public:
    explicit Remembered(const TouchedTree& tree) : tree_(tree) {}
    Result<std::vector<TreeObject>> list() override { return Error{ErrorCode::unsupported, "only touched names are remembered"}; }
    Result<XattrList> xattrs(const TreeObject& object) override { return tree_.item(object.id).xattrs; }
    Result<std::string> target(const TreeObject& link) override { return tree_.item(link.id).target; }

private:
    const TouchedTree& tree_;
};

// A part of a file that is open.
class Part final : public FileContents {
public:
    Part(int fd, const std::vector<DataExtent>& data, const DataExtent& part) : fd_(fd) {
        for (const DataExtent& extent : data) {
            const uint64_t begin = std::max(extent.offset, part.offset);
            const uint64_t end = std::min(extent.offset + extent.length, part.offset + part.length);
            if (begin < end) data_.push_back({begin, end - begin});
        }
    }
    Result<std::vector<DataExtent>> data_extents() override { return data_; }
    Result<size_t> read(uint64_t offset, MutableByteSpan into) override { return read_fully(fd_, offset, into); }

private:
    int fd_;
    std::vector<DataExtent> data_;
};

}  // namespace

Result<std::optional<UniqueFd>> TouchedBytes::open(const TreeObject& object) const {
    auto fd = places_.open_file(object.handle);
    if (fd) return std::optional(std::move(*fd));
    if (!is_held_ && fd.error().sys_errno == ESTALE) return std::optional<UniqueFd>();
    return std::move(fd).error().within("open a file that was touched");
}

Status TouchedBytes::fill(SourceDirectory& directory, const TreeObject& object) {
    const uint64_t size = object.attributes.size;
    if (size > 0) {
        const auto fd = HF_TRY(open(object));
        if (!fd) return ok();
        Part all(fd->get(), HF_TRY(data_extents_of(fd->get())), {0, size});
        HF_TRY(repair_.fill(object, all));
    }
    HF_TRY(repeat_what_writing_clears(ledger_, object, HF_TRY(directory.xattrs(object))));
    return size == 0 ? ok() : ledger_.set_attributes(object.id, object.attributes, HF_ATTR_MTIME);
}

Result<bool> TouchedBytes::compare(SourceDirectory& directory, const TreeObject& object, const ObjectAttributes& seen) {
    const std::vector<DataExtent> ranges = tree_.ranges(object.id);
    if (ranges.empty() && seen.size == object.attributes.size) return false;
    const uint64_t before = ledger_.repairs();
    const auto fd = HF_TRY(open(object));
    if (!fd) return false;
    const std::vector<DataExtent> data = HF_TRY(data_extents_of(fd->get()));
    const ImageFile image = HF_TRY(repair_.look_at(object, seen.size));
    HF_TRY(repair_.set_size(object, image));
    for (const DataExtent& range : ranges) {
        Part part(fd->get(), data, range);
        HF_TRY(repair_.compare(object, part, image, range));
    }
    if (ledger_.repairs() == before) return false;
    HF_TRY(repeat_what_writing_clears(ledger_, object, HF_TRY(directory.xattrs(object))));
    return true;
}

Status TouchedRepair::run() {
    ledger_.keep_open(tree_.nameless());
    for (const ObjectId& object : tree_.nameless()) {
        const auto known = HF_TRY(ledger_.target().find(object));
        const bool lives = open_in_image_.count(object) != 0 || (known && known->links > 0);
        if (!lives) unborn_.insert(object);
    }
    const TreeObject& top = tree_.item(journal::root_object).object;
    for (const ViewEntry& entry : left_over_) {
        names_.avoid_names_of({entry});
        HF_TRY(names_.evict(top, entry, false));
    }
    for (const TouchedTree::Directory& directory : tree_.directories()) HF_TRY(visit(directory));
    HF_TRY(compare_files());
    removed_ = HF_TRY(names_.finish());
    HF_TRY(finish_directories());
    HF_TRY(repair_nameless());
    return ledger_.report();
}

Status TouchedRepair::visit(const TouchedTree::Directory& directory) {
    const bool is_born = born_.count(directory.id) != 0;
    if (!is_born && HF_TRY(ledger_.links(directory.id)) == 0)
        return Error{ErrorCode::corrupt, "directory " + journal::to_string(directory.id) + " was touched and is not known to the store"};
    const TreeObject& self = tree_.item(directory.id).object;
    std::vector<const TouchedTree::Entry*> missing;
    for (const TouchedTree::Entry& entry : directory.entries) {
        std::optional<ViewEntry> present;
        if (!is_born) present = HF_TRY(ledger_.lookup(directory.id, entry.name));
        if (present && present->object == entry.object) continue;
        if (present) HF_TRY(names_.evict(self, *present, static_cast<bool>(entry.object)));
        if (entry.object) missing.push_back(&entry);
    }
    for (const TouchedTree::Entry* entry : missing) {
        TreeObject object = tree_.item(entry->object).object;
        object.name = entry->name;
        if (!HF_TRY(names_.place(directory.id, object))) HF_TRY(bear(directory.id, object));
        HF_TRY(ledger_.report());
    }
    return ok();
}

Status TouchedRepair::bear(const ObjectId& parent, const TreeObject& object) {
    Remembered remembered(tree_);
    born_.insert(object.id);
    ledger_.examined(1);
    return objects_.bear(parent, remembered, object);
}

Status TouchedRepair::compare_files() {
    Remembered remembered(tree_);
    for (const auto& [id, item] : tree_.items()) {
        if (is_directory(item.object) || born_.count(id) || unborn_.count(id)) continue;
        ledger_.examined(1);
        HF_TRY(objects_.compare(remembered, item.object, false));
        HF_TRY(ledger_.report());
    }
    return ok();
}

// With their entries in place. What has a touched name and was not touched itself has no entries that were.
Status TouchedRepair::finish_directories() {
    Remembered remembered(tree_);
    for (const auto& [id, item] : tree_.items()) {
        if (!is_directory(item.object)) continue;
        if (born_.count(id)) {
            HF_TRY(objects_.finish_born(item.object));
            continue;
        }
        ledger_.examined(1);
        HF_TRY(objects_.compare(remembered, item.object, false));
    }
    return ok();
}

Status TouchedRepair::repair_nameless() {
    for (const ObjectId& object : unborn_) HF_TRY(bear({}, tree_.item(object).object));
    for (const ObjectId& object : open_in_image_) {
        if (tree_.nameless().count(object) || born_.count(object)) continue;
        HF_TRY(ledger_.change(HF_ORPHAN_END, object, journal::OrphanEnd{}));
    }
    return ok();
}

}  // namespace holdfast::rewind
