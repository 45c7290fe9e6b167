// The bytes of a view: reading, and which parts of a file are data.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "rewind/extents.h"
#include "rewind/image.h"
#include "rewind/store.h"
#include "rewind/view.h"

namespace holdfast::rewind {

namespace {

// What the image holds of [offset, offset + into.size()), zeros behind its end.
Status read_image(int fd, uint64_t offset, MutableByteSpan into) {
    size_t done = 0;
    while (done < into.size()) {
        const ssize_t got = pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(errno, "read the image");
        if (got == 0) break;
        done += static_cast<size_t>(got);
    }
    memset(into.data() + done, 0, into.size() - done);
    return ok();
}

}  // namespace

Result<size_t> View::read(const ObjectId& object, uint64_t offset, MutableByteSpan into) const {
    {
        const UniqueFd fd = HF_TRY(open_in_image(object, O_RDONLY));
        HF_TRY(read_image(fd.get(), offset, into));
    }
    const uint64_t size = HF_TRY(attributes(object)).size;
    if (offset >= size) return size_t{0};
    const size_t length = static_cast<size_t>(std::min<uint64_t>(into.size(), size - offset));
    for (const DataUndo& undo : HF_TRY(store_.index().data_at(object, offset, length, at_))) {
        const MutableByteSpan part = into.subspan(undo.offset - offset, undo.length);
        if (undo.hole)
            memset(part.data(), 0, part.size());
        else
            HF_TRY(store_.undo_log().read_data(undo.item, undo.skip, part));
    }
    return length;
}

Result<std::vector<DataExtent>> View::data_extents(const ObjectId& object) const {
    std::vector<DataExtent> extents;
    {
        const UniqueFd fd = HF_TRY(open_in_image(object, O_RDONLY));
        extents = HF_TRY(data_extents_of(fd.get()));
    }
    const uint64_t size = HF_TRY(attributes(object)).size;
    ExtentSet set(std::move(extents));
    // In windows, so that the undo ranges of a large database file are never all in memory.
    constexpr uint64_t window_bytes = 256ULL << 20;
    for (uint64_t at = 0; at < size; at += window_bytes) {
        const uint64_t length = std::min(window_bytes, size - at);
        for (const DataUndo& undo : HF_TRY(store_.index().data_at(object, at, length, at_))) {
            if (undo.hole)
                set.remove(undo.offset, undo.length);
            else
                set.add(undo.offset, undo.length);
        }
    }
    set.clip(size);
    return std::move(set).take();
}

}  // namespace holdfast::rewind
