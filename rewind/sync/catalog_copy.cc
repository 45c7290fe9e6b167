#include "rewind/sync/catalog_copy.h"

#include <sys/stat.h>

#include "base/text.h"

namespace holdfast::rewind {

Status CatalogCopy::take(ByteSpan page) {
    HF_TRY(catalog_.add(page, [this](const CatalogObject& told) -> Status {
        auto taken = take(told);
        if (!taken) return std::move(taken).error().within("copy " + quoted(told.object.name));
        return pulse_.tell();
    }));
    // Not before the catalog has the page, which tells of them.
    for (const ObjectId& id : ended_) HF_TRY(finish_directory(id));
    ended_.clear();
    return ok();
}

Status CatalogCopy::take(const CatalogObject& told) {
    const TreeObject& object = told.object;
    if (object.id == journal::root_object) return ok();
    if (told.parent != listed_) {
        if (listed_) ended_.push_back(listed_);
        listed_ = told.parent;
    }
    const uint32_t type = object.attributes.mode & S_IFMT;
    if (type != S_IFDIR && object.attributes.nlink > 1 && !linked_.insert(object.id).second) return sink_.link(object.id, told.parent, object.name);
    HF_TRY(sink_.make({object.id, told.parent, object.name, object.attributes, std::string(told.target), told.xattrs}));
    if (type == S_IFDIR) return ok();
    ++report_.objects;
    if (told.has_bytes) {
        HF_TRY(sink_.fill(object.id, object.attributes.size, told.bytes));
        for (const journal::Write& write : told.bytes) report_.bytes += write.data.size();
    } else if (type == S_IFREG && object.attributes.size > 0) {
        return large_.compare(object, told.xattrs, 0);
    }
    return sink_.finish(object.id, object.attributes, told.xattrs);
}

Status CatalogCopy::finish_directory(const ObjectId& id) {
    const TreeObject directory = HF_TRY(catalog_.directory(id));
    CatalogTree tree(catalog_);
    const auto opened = HF_TRY(tree.open(directory));
    const XattrList xattrs = HF_TRY(opened->xattrs(directory));
    ++report_.objects;
    return sink_.finish(id, directory.attributes, xattrs);
}

Status CatalogCopy::finish() {
    HF_TRY(catalog_.complete());
    if (listed_) HF_TRY(finish_directory(listed_));
    for (const ObjectId& id : catalog_.directories_without_entries()) HF_TRY(finish_directory(id));
    HF_TRY(large_.drain());
    return sink_.commit();
}

}  // namespace holdfast::rewind
