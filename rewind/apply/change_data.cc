#include "rewind/apply/change_data.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "base/write_at.h"

namespace holdfast::rewind {

namespace {

constexpr size_t copy_bytes = 1 << 20;
constexpr uint64_t file_bytes_max = std::numeric_limits<off_t>::max();
constexpr uint32_t shift_modes = HF_FALLOC_COLLAPSE_RANGE | HF_FALLOC_INSERT_RANGE;

// False: the file system of the image does not know this mode, or not for a range that does not fit its blocks.
Result<bool> try_fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
    int failure = 0;
    do failure = ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) == 0 ? 0 : errno;
    while (failure == EINTR);
    if (failure == 0) return true;
    if (failure == EOPNOTSUPP || failure == EINVAL || failure == ENOSYS) return false;
    return errno_error(failure, "change the space of a file of the image");
}

Status write_zeros(int fd, uint64_t offset, uint64_t length) {
    const std::vector<std::byte> zeros(std::min<uint64_t>(length, copy_bytes));
    for (uint64_t done = 0; done < length;) {
        const uint64_t part = std::min<uint64_t>(zeros.size(), length - done);
        HF_TRY(write_fully(fd, ByteSpan(zeros).first(part), offset + done));
        done += part;
    }
    return ok();
}

// Where the next data and the end of it lie in [from, end) of the file; END when there is none.
Result<std::pair<uint64_t, uint64_t>> next_data(int fd, uint64_t from, uint64_t end) {
    const off_t data = ::lseek(fd, static_cast<off_t>(from), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return std::pair(end, end);
    if (data < 0 && errno == EINVAL) return std::pair(from, end);  // a file system that cannot tell
    if (data < 0) return errno_error(errno, "find the data of a file of the image");
    if (static_cast<uint64_t>(data) >= end) return std::pair(end, end);
    const off_t hole = ::lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return errno_error(errno, "find the holes of a file of the image");
    return std::pair(static_cast<uint64_t>(data), std::min(end, static_cast<uint64_t>(hole)));
}

// One step of move_bytes(): the source is read whole before the target, which may overlap it, is changed.
Status move_step(int fd, uint64_t from, uint64_t to, MutableByteSpan buffer) {
    const uint64_t end = from + buffer.size();
    const size_t got = HF_TRY(read_fully(fd, buffer, from));
    std::fill(buffer.begin() + static_cast<ptrdiff_t>(got), buffer.end(), std::byte{0});
    std::vector<std::pair<uint64_t, uint64_t>> data;
    for (uint64_t at = from; at < end;) {
        data.push_back(HF_TRY(next_data(fd, at, end)));
        at = data.back().second;
    }
    uint64_t at = from;
    for (const auto& [start, stop] : data) {
        HF_TRY(punch(fd, to + (at - from), start - at));
        HF_TRY(write_fully(fd, buffer.subspan(start - from, stop - start), to + (start - from)));
        at = stop;
    }
    return ok();
}

// Moves [from, from + length) to TO without the file system's help; holes stay holes. Ranges may overlap.
Status move_bytes(int fd, uint64_t from, uint64_t to, uint64_t length) {
    std::vector<std::byte> buffer(std::min<uint64_t>(length, copy_bytes));
    for (uint64_t done = 0; done < length;) {
        // Downwards from the front, upwards from the back, so that nothing is overwritten before it was read. The odd part
        // is the one at the end of the file: holes are whole blocks, and no step may begin within one.
        const uint64_t left = length - done, odd = left % buffer.size();
        const uint64_t part = to > from && odd != 0 ? odd : std::min<uint64_t>(buffer.size(), left);
        const uint64_t at = to < from ? done : left - part;
        HF_TRY(move_step(fd, from + at, to + at, MutableByteSpan(buffer).first(part)));
        done += part;
    }
    return ok();
}

// The last, partial block of a file of SIZE bytes; empty where there is none.
std::pair<uint64_t, uint64_t> partial_block(uint64_t size, uint64_t block) {
    return {size / block * block, size % block == 0 ? 0 : block};
}

Status shift_by_copying(int fd, const journal::Fallocate& body, uint64_t size) {
    if (body.mode & HF_FALLOC_COLLAPSE_RANGE) {
        if (body.offset + body.length < size)
            HF_TRY(move_bytes(fd, body.offset + body.length, body.offset, size - body.offset - body.length));
        return set_file_size(fd, size - std::min(size, body.length));
    }
    HF_TRY(set_file_size(fd, size + body.length));
    if (size > body.offset) HF_TRY(move_bytes(fd, body.offset, body.offset + body.length, size - body.offset));
    return punch(fd, body.offset, body.length);
}

Status shift(int fd, const journal::Fallocate& body) {
    if (HF_TRY(try_fallocate(fd, static_cast<int>(body.mode), body.offset, body.length))) return ok();
    struct stat status;
    if (::fstat(fd, &status) != 0) return errno_error(errno, "look at a file of the image");
    const uint64_t size = static_cast<uint64_t>(status.st_size), block = std::max<uint64_t>(static_cast<uint64_t>(status.st_blksize), 512);
    const auto [last, length] = partial_block(size, block);
    const bool is_hole = length > 0 && HF_TRY(next_data(fd, last, size)).first >= size;
    HF_TRY(shift_by_copying(fd, body, size));
    // A partial block that is a hole: btrfs makes it data when the file grows beyond it, and what is punched of a part
    // of a block is zeros. Nobody but the end of the file is in it, so all of it can go.
    if (!is_hole) return ok();
    const auto [now_last, now_length] = partial_block(HF_TRY(size_of(fd)), block);
    return punch(fd, now_last, now_length);
}

Status allocate(int fd, const journal::Fallocate& body) {
    if (HF_TRY(try_fallocate(fd, static_cast<int>(body.mode), body.offset, body.length))) return ok();
    const uint64_t end = body.offset + body.length;
    const uint64_t size = HF_TRY(size_of(fd));
    const bool grows = !(body.mode & HF_FALLOC_KEEP_SIZE) && size < end;
    if (body.mode & HF_FALLOC_ZERO_RANGE && body.offset < size) HF_TRY(punch(fd, body.offset, std::min(end, size) - body.offset));
    return grows ? set_file_size(fd, end) : ok();
}

// XFS allocates space behind the end of a file of 64 KiB or more that is written at its end, and takes it into the file, as
// unwritten blocks, when the file grows over it. No record wrote there, so the undo says that it was a hole. So does
// SEEK_DATA, but only until somebody reads it: zeros in the page cache make an unwritten block data.
//
// Before the file grows to END and not after: a crash in between would leave a file that has the space in it and its new size
// already, so applying again would not grow it and would free nothing.
Status free_until(int fd, uint64_t end, uint64_t block_bytes) {
    const auto up = [block_bytes](uint64_t offset) {
        return std::min((offset + block_bytes - 1) / block_bytes * block_bytes, file_bytes_max);
    };
    const uint64_t size = HF_TRY(size_of(fd)), first = up(size), last = up(end);
    if (first >= last) return ok();
    // A punch beyond the end of a file does nothing on ext4; there the space goes when the file is cut to the size that it has.
    HF_TRY(set_file_size(fd, size));
    // A file system that cannot free a range has allocated none ahead that anybody could see.
    HF_TRY(try_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first, last - first));
    return ok();
}

}  // namespace

bool is_data_record(const Record& record) {
    return record.type == HF_WRITE || record.type == HF_TRUNCATE || record.type == HF_FALLOCATE;
}

bool is_shift(const Record& record) {
    return record.type == HF_FALLOCATE && record.as<journal::Fallocate>().mode & shift_modes;
}

uint64_t gap_end(const Record& record) {
    if (record.type == HF_WRITE) return record.as<journal::Write>().offset;
    if (record.type == HF_TRUNCATE) return record.as<journal::Truncate>().size;
    const auto& body = record.as<journal::Fallocate>();
    return body.mode & (HF_FALLOC_KEEP_SIZE | HF_FALLOC_PUNCH_HOLE | shift_modes) ? 0 : body.offset;
}

Status free_space_ahead(int fd, const Record& record, uint64_t block_bytes) {
    return free_until(fd, gap_end(record), block_bytes);
}

// Btrfs makes data of the hole in the last, partial block of a file when that grows beyond it. For the end that the file had when the record was applied
// first this is as it was in the tree, and the undo says that the block was a hole before. At another end, which a later record made, no record says
// anything of it.
Status grow_to_size_before(int fd, std::optional<uint64_t> before, uint64_t block_bytes) {
    const uint64_t size = HF_TRY(size_of(fd)), last = size / block_bytes * block_bytes;
    if (before == size) return ok();
    // What grows over a hole are zeros again, so after a crash in between the file is as good as before.
    if (last < size && HF_TRY(next_data(fd, last, size)).first >= size) HF_TRY(set_file_size(fd, last));
    if (before.value_or(0) <= size) return ok();
    HF_TRY(free_until(fd, *before, block_bytes));
    return set_file_size(fd, *before);
}

Status change_data(int fd, const Record& record) {
    if (record.type == HF_WRITE) {
        const auto& body = record.as<journal::Write>();
        return write_fully(fd, body.data, body.offset);
    }
    if (record.type == HF_TRUNCATE) return set_file_size(fd, record.as<journal::Truncate>().size);
    const auto& body = record.as<journal::Fallocate>();
    if (body.mode & shift_modes) return shift(fd, body);
    if (body.mode & HF_FALLOC_PUNCH_HOLE) return punch(fd, body.offset, body.length);
    return allocate(fd, body);
}

Status restore_bytes(int fd, const ObjectId& object, const std::vector<UndoItem>& items) {
    for (const UndoItem& item : items) {
        if (item.object != object) continue;
        if (item.kind == UndoKind::data) HF_TRY(write_fully(fd, item.data, item.offset));
        if (item.kind == UndoKind::hole) HF_TRY(punch(fd, item.offset, item.length));
    }
    return ok();
}

Result<uint64_t> size_of(int fd) {
    struct stat status;
    if (::fstat(fd, &status) != 0) return errno_error(errno, "look at a file of the image");
    return static_cast<uint64_t>(status.st_size);
}

Status set_file_size(int fd, uint64_t size) {
    while (::ftruncate(fd, static_cast<off_t>(size)) != 0)
        if (errno != EINTR) return errno_error(errno, "set the size of a file of the image");
    return ok();
}

Status write_fully(int fd, ByteSpan bytes, uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t written = write_at(fd, bytes, offset);
        if (written < 0) return errno_error(errno, "write a file of the image");
        if (written == 0) return Error{ErrorCode::io, "write a file of the image: the disk took no bytes", EIO};
        bytes = bytes.subspan(static_cast<size_t>(written));
        offset += static_cast<uint64_t>(written);
    }
    return ok();
}

Result<size_t> read_fully(int fd, MutableByteSpan into, uint64_t offset) {
    size_t done = 0;
    while (done < into.size()) {
        const ssize_t got = ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(errno, "read a file of the image");
        if (got == 0) break;
        done += static_cast<size_t>(got);
    }
    return done;
}

Status punch(int fd, uint64_t offset, uint64_t length) {
    if (length == 0) return ok();
    if (HF_TRY(try_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length))) return ok();
    const uint64_t size = HF_TRY(size_of(fd));
    if (offset >= size) return ok();
    return write_zeros(fd, offset, std::min(length, size - offset));
}

}  // namespace holdfast::rewind
