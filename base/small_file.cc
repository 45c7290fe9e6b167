#include "base/small_file.h"

#include <unistd.h>

#include <cerrno>

#include "base/text.h"

namespace holdfast {

Status replace_small_file(Disk& disk, std::string_view name, std::string_view contents) {
    std::string fresh = std::string(name).append(small_file_suffix);
    // One may be left from a crash between the two steps below; nothing in it was ever promised.
    auto removed = disk.remove(fresh);
    if (!removed && removed.error().code != ErrorCode::not_found) return removed;
    auto file = HF_TRY(disk.open(fresh, Disk::Open::create_new));
    HF_TRY(file->pwrite(bytes_of(contents), 0));
    // The contents first: a rename that became durable before them would leave an empty file under the name.
    HF_TRY(file->sync());
    HF_TRY(disk.rename(fresh, name));
    return disk.sync_directory();
}

Result<std::string> read_small_file(Disk& disk, std::string_view name, size_t bytes_max) {
    auto file = HF_TRY(disk.open(name, Disk::Open::existing_read_only));
    const uint64_t size = HF_TRY(file->size());
    if (size > bytes_max)
        return Error{ErrorCode::corrupt, quoted(name) + " is longer than " + human_bytes(bytes_max) + ", so it is not ours"};
    std::string contents(size, '\0');
    contents.resize(HF_TRY(file->pread({reinterpret_cast<std::byte*>(contents.data()), contents.size()}, 0)));
    return contents;
}

Result<std::string> read_text(int fd, size_t bytes_max) {
    std::string text(bytes_max, '\0');
    size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(fd, text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(errno, "read a file");
        if (got == 0) break;
        size += static_cast<size_t>(got);
    }
    text.resize(size);
    return text;
}

Status remove_small_file(Disk& disk, std::string_view name) {
    if (Status removed = disk.remove(name); !removed && removed.error().code != ErrorCode::not_found) return removed;
    return disk.sync_directory();
}

}  // namespace holdfast
