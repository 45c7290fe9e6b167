#include "rewind/restore/object_parts.h"

#include <sys/stat.h>

#include <algorithm>

#include "rewind/restore/difference.h"

namespace holdfast::rewind {

Result<ObjectParts> differing_parts(const Store& store, const FileAtTwoMoments& file, const ObjectAttributes& from,
                                    const ObjectAttributes& to) {
    ObjectParts found;
    if ((from.mode ^ to.mode) & 07777) found.parts |= changed_mode;
    if (from.uid != to.uid || from.gid != to.gid) found.parts |= changed_owner;
    if (from.mtime_ns != to.mtime_ns) found.parts |= changed_mtime;
    auto before = HF_TRY(View(store, file.from).xattrs(file.object));
    auto after = HF_TRY(View(store, file.to).xattrs(file.object));
    std::sort(before.begin(), before.end());
    std::sort(after.begin(), after.end());
    if (before != after) found.parts |= changed_xattrs;
    if (!S_ISREG(to.mode)) return found;
    if (from.size != to.size) found.parts |= changed_size;
    HF_TRY(visit_differing(store, file, [&](const DifferingRange& range) -> Status {
        found.bytes += range.length;
        return ok();
    }));
    if (found.bytes > 0) found.parts |= changed_data;
    return found;
}

}  // namespace holdfast::rewind
