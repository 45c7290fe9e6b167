#include "rewind/copy_file.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "rewind/apply/change_data.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t bytes_per_step = 8 << 20;
constexpr size_t buffer_bytes = 1 << 20;

// copy_file_range() refuses pairs of file systems, and some file systems refuse it altogether.
bool is_refusal(int error) {
    return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS || error == EBADF || error == ETXTBSY;
}

// Copies [from, end) through memory. A source that became shorter leaves a hole.
Status copy_through_memory(int source, int target, uint64_t from, uint64_t end, const std::function<void(uint64_t)>& progress) {
    std::vector<std::byte> buffer(std::min<uint64_t>(buffer_bytes, end - from));
    while (from < end) {
        const MutableByteSpan part = MutableByteSpan(buffer).first(std::min<uint64_t>(buffer.size(), end - from));
        const size_t got = HF_TRY(read_fully(source, part, from));
        HF_TRY(write_fully(target, part.first(got), from));
        if (progress) progress(got);
        if (got < part.size()) return ok();
        from += got;
    }
    return ok();
}

Status copy_range(int source, int target, uint64_t from, uint64_t end, const std::function<void(uint64_t)>& progress) {
    while (from < end) {
        off_t in = static_cast<off_t>(from), out = in;
        const ssize_t copied = ::copy_file_range(source, &in, target, &out, std::min(end - from, bytes_per_step), 0);
        if (copied < 0 && errno == EINTR) continue;
        if (copied < 0 && is_refusal(errno)) return copy_through_memory(source, target, from, end, progress);
        if (copied < 0) return errno_error(errno, "copy a file into the image");
        if (copied == 0) return ok();  // the source became shorter
        if (progress) progress(static_cast<uint64_t>(copied));
        from += static_cast<uint64_t>(copied);
    }
    return ok();
}

}  // namespace

Status copy_file(int source, int target, uint64_t size, const std::function<void(uint64_t)>& progress) {
    HF_TRY(set_file_size(target, 0));
    if (size == 0) return ok();
    if (::ioctl(target, FICLONE, source) == 0) {
        if (progress) progress(size);
        return set_file_size(target, size);
    }
    HF_TRY(set_file_size(target, size));
    for (uint64_t at = 0; at < size;) {
        const off_t found = ::lseek(source, static_cast<off_t>(at), SEEK_DATA);
        if (found < 0 && errno == ENXIO) return ok();
        // A file system that cannot tell has data everywhere.
        if (found < 0 && errno == EINVAL) return copy_range(source, target, at, size, progress);
        if (found < 0) return errno_error(errno, "find the data of a file");
        const uint64_t data = static_cast<uint64_t>(found);
        if (data >= size) return ok();
        const off_t hole = ::lseek(source, found, SEEK_HOLE);
        if (hole < 0) return errno_error(errno, "find the holes of a file");
        const uint64_t end = std::min(size, std::max(static_cast<uint64_t>(hole), data + 1));
        HF_TRY(copy_range(source, target, data, end, progress));
        at = end;
    }
    return ok();
}

Status copy_part(int source, int target, uint64_t from, uint64_t end) {
    for (uint64_t at = from; at < end;) {
        const off_t found = ::lseek(source, static_cast<off_t>(at), SEEK_DATA);
        if (found < 0 && errno == EINVAL) return copy_through_memory(source, target, at, end, {});
        if (found < 0 && errno != ENXIO) return errno_error(errno, "find the data of a file");
        const uint64_t data = found < 0 ? end : std::min(end, static_cast<uint64_t>(found));
        if (data > at) HF_TRY(punch(target, at, data - at));
        if (data == end) return ok();
        const off_t hole = ::lseek(source, found, SEEK_HOLE);
        if (hole < 0) return errno_error(errno, "find the holes of a file");
        at = std::min(end, std::max(static_cast<uint64_t>(hole), data + 1));
        HF_TRY(copy_through_memory(source, target, data, at, {}));
    }
    return ok();
}

}  // namespace holdfast::rewind
