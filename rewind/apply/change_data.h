// Changes of a file's bytes in the image, record by record: WRITE, TRUNCATE, FALLOCATE.
//
// Doing one again is harmless, because it ends in the same bytes, but for COLLAPSE_RANGE and INSERT_RANGE: they move
// what is there. For those the file is first brought back to what the undo log says it was (restore_bytes()).
//
// Thread rule: pure effects on the file behind FD, which is open for reading and writing.
#pragma once

#include <optional>

#include "base/result.h"
#include "rewind/apply/batch.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

bool is_data_record(const Record& record);
// COLLAPSE_RANGE or INSERT_RANGE.
bool is_shift(const Record& record);

// REQUIRES: is_data_record(record).
Status change_data(int fd, const Record& record);

// Where the gap ends that RECORD leaves behind the end of a file that is shorter; 0: it leaves none. REQUIRES: is_data_record(record).
uint64_t gap_end(const Record& record);
// Before change_data(), where the file may grow over a gap: frees what its file system allocated in it ahead, so that it
// becomes the hole that it is. BLOCK_BYTES: the unit in which the file system allocates. REQUIRES: is_data_record(record).
Status free_space_ahead(int fd, const Record& record, uint64_t block_bytes);
// Before a record is applied again by which the file grows over a gap: makes it as long as it was BEFORE the record at first, where it is shorter now, and holes
// stay holes. Nothing: the record did not change the size then.
Status grow_to_size_before(int fd, std::optional<uint64_t> before, uint64_t block_bytes);

// Puts the bytes and holes of ITEMS that are about OBJECT back.
Status restore_bytes(int fd, const ObjectId& object, const std::vector<UndoItem>& items);

Result<uint64_t> size_of(int fd);
Status set_file_size(int fd, uint64_t size);
inline Status empty_file(int fd) {
    return set_file_size(fd, 0);
}
// Writes all of BYTES or fails.
Status write_fully(int fd, ByteSpan bytes, uint64_t offset);
// Reads until INTO is full or the file ends.
Result<size_t> read_fully(int fd, MutableByteSpan into, uint64_t offset);
// Makes [offset, offset + length) of the file a hole where its file system can, else zeros. The size stays.
Status punch(int fd, uint64_t offset, uint64_t length);

}  // namespace holdfast::rewind
