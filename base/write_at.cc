#include "base/write_at.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace holdfast {

ssize_t write_at(int fd, ByteSpan bytes, uint64_t offset) {
    size_t done = 0;
    while (done < bytes.size()) {
        const uint64_t at = offset + done;
        // Pieces end where folios do, wherever the first begins.
        const size_t length = std::min<uint64_t>(bytes.size() - done, write_piece_bytes - at % write_piece_bytes);
        const ssize_t written = ::pwrite(fd, bytes.data() + done, length, static_cast<off_t>(at));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return done > 0 ? static_cast<ssize_t>(done) : written;
        done += static_cast<size_t>(written);
    }
    return static_cast<ssize_t>(done);
}

}  // namespace holdfast
