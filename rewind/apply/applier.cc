#include "rewind/apply/applier.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "rewind/apply/change_data.h"
#include "rewind/apply/change_names.h"
#include "rewind/apply/set_attributes.h"

namespace holdfast::rewind {

Result<std::unique_ptr<Applier>> Applier::create(const Image& image, Index& index, UndoLog& undo) {
    struct statvfs status;
    if (::fstatvfs(image.root_fd(), &status) != 0) return errno_error(errno, "look at the file system of the image");
    // The unit in which it allocates; never smaller than a sector, whatever it says.
    const uint64_t block = std::max<uint64_t>(status.f_bsize, 512);
    return std::unique_ptr<Applier>(new Applier(image, index, undo, block));
}

Status Applier::apply(Batch& batch) {
    Changes changes;
    UndoPlanner planner(files_, builder_, changes, unsettled_, batch.arena(), block_bytes_);
    for (const Record& record : batch.records()) HF_TRY(planner.plan(record));
    HF_TRY(undo_.sync());
    HF_TRY(index_.insert(builder_.written(), {}));
    builder_.written().clear();

    HF_TRY(NameChanger(files_, changes).run());
    HF_TRY(change_bytes(batch, changes));
    HF_TRY(change_attributes(changes));
    return publish();
}

Status Applier::change_bytes(const Batch& batch, const Changes& changes) {
    std::unordered_set<ObjectId> born;
    for (const Record& record : batch.records()) {
        if (is_data_record(record)) {
            const int fd = HF_TRY(files_.fd(record.object));
            const ObjectChange* change = changes.find(record.object);
            if (change && change->leaves_gap) HF_TRY(free_space_ahead(fd, record, block_bytes_));
            HF_TRY(change_data(fd, record));
        } else if (record.type == HF_CREATE) {
            // Made again, it still has the bytes of its earlier life, in the image or from this batch.
            const bool lived = !born.insert(record.object).second || changes.find(record.object)->in_image;
            if (lived) HF_TRY(empty_file(HF_TRY(files_.fd(record.object))));
        }
    }
    return ok();
}

Status Applier::change_attributes(Changes& changes) {
    for (const auto& [object, change] : changes.objects()) {
        if (change.valid == 0 && change.xattrs.empty() && !change.birth) continue;
        auto set = set_attributes(files_.image(), object, HF_TRY(files_.fd(object)), change, change.birth != nullptr);
        if (!set) return std::move(set).error().within("object " + journal::to_string(object) + " of the image");
    }
    return ok();
}

Status Applier::publish() {
    return files_.tell_all();
}

Status Applier::forget_places() {
    HF_TRY(publish());
    files_.clear();
    return ok();
}

}  // namespace holdfast::rewind
