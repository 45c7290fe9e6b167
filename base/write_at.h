// Writing to a file that will be overwritten in small places later: the backing files and those of the image.
//
// Bytes go out in pieces, because ext4 and XFS keep in one folio of the page cache what came in one write, up to megabytes, and
// ext4 walks all blocks of a folio in every later write to it. Measured on Linux 6.18, ext4: 4 KiB into a file that had been
// written in pieces of 1 MiB take 24 to 34 us, of 64 KiB 7 us, of 4 KiB 4 us. The first write of 1 MiB takes 131, 197 and
// 1120 us in these pieces, so 64 KiB it is.
// Thread rule: any thread.
#pragma once

#include <sys/types.h>

#include "base/disk.h"

namespace holdfast {

inline constexpr size_t write_piece_bytes = 64 << 10;

// Writes all of BYTES at OFFSET, or as much as there is room for. The number of bytes written; -1 and errno when none was.
ssize_t write_at(int fd, ByteSpan bytes, uint64_t offset);

}  // namespace holdfast
