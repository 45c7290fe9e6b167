#include "rewind/reconcile/tree_bytes.h"

#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/object_repair.h"

namespace holdfast::rewind {

namespace {

class OpenFile final : public FileContents {
public:
    static Result<OpenFile> open(SourceDirectory& directory, const TreeObject& object) {
        return OpenFile(HF_TRY(open_file_at(static_cast<BackingDirectory&>(directory).fd(), object.name)));
    }
    Result<std::vector<DataExtent>> data_extents() override { return data_extents_of(fd_.get()); }
    Result<size_t> read(uint64_t offset, MutableByteSpan into) override { return read_fully(fd_.get(), offset, into); }

private:
    explicit OpenFile(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace

Status TreeBytes::fill(SourceDirectory& directory, const TreeObject& object) {
    if (object.attributes.size > 0) {
        auto file = HF_TRY(OpenFile::open(directory, object));
        HF_TRY(repair_.fill(object, file));
    }
    HF_TRY(repeat_what_writing_clears(ledger_, object, HF_TRY(directory.xattrs(object))));
    if (object.attributes.size == 0) return ok();
    return ledger_.set_attributes(object.id, object.attributes, HF_ATTR_MTIME);
}

bool TreeBytes::is_suspect(const TreeObject& object, const ObjectAttributes& seen) const {
    return scope_.everything || object.attributes.size != seen.size || object.attributes.mtime_ns != seen.mtime_ns ||
           object.attributes.ctime_ns >= scope_.ctime_from_ns || scope_.touched.count(object.id) != 0;
}

Result<bool> TreeBytes::compare(SourceDirectory& directory, const TreeObject& object, const ObjectAttributes& seen) {
    if (!is_suspect(object, seen)) return false;
    const uint64_t before = ledger_.repairs();
    ++files_compared_;
    auto file = HF_TRY(OpenFile::open(directory, object));
    const ImageFile image = HF_TRY(repair_.look_at(object, seen.size));
    HF_TRY(repair_.set_size(object, image));
    HF_TRY(repair_.compare(object, file, image, {0, object.attributes.size}));
    if (ledger_.repairs() == before) return false;
    HF_TRY(repeat_what_writing_clears(ledger_, object, HF_TRY(directory.xattrs(object))));
    return true;
}

}  // namespace holdfast::rewind
