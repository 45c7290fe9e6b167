#include "fusefs/filter/device.h"

#include <unistd.h>

#include <cerrno>

#include "base/log.h"

namespace holdfast::fusefs {

Result<Device::Read> Device::read(MutableByteSpan buffer) const {
    for (;;) {
        const ssize_t size = ::read(fd_, buffer.data(), buffer.size());
        if (size >= 0) return Read{Outcome::request, {buffer.data(), static_cast<size_t>(size)}};
        switch (errno) {
            case ENOENT: continue;  // the request was interrupted before it was read
            case EINTR: return Read{Outcome::interrupted, {}};
            case EAGAIN: return Read{Outcome::interrupted, {}};
            case ENODEV:        // unmounted
            case ECONNABORTED:  // ended by hand
                return Read{Outcome::gone, {}};
            default: return errno_error(errno, "reading the FUSE device");
        }
    }
}

void Device::send(uint64_t unique, const Answer& answer) const {
    fuse_out_header header{};
    header.unique = unique;
    header.error = -answer.error();
    iovec pieces[3] = {{&header, sizeof header}, {}, {}};
    int count = 1;
    if (answer.error() == 0) {
        for (const ByteSpan piece : {answer.plain(), answer.bulk()})
            if (!piece.empty()) pieces[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};
    }
    size_t length = 0;
    for (int i = 0; i < count; ++i) length += pieces[i].iov_len;
    header.len = static_cast<uint32_t>(length);
    while (::writev(fd_, pieces, count) < 0) {
        if (errno == EINTR) continue;
        // ENOENT: the request is gone, its process was killed. ENODEV: unmounted. Anything else would be a malformed
        // answer, which the kernel turns into an error for the application.
        if (errno != ENOENT && errno != ENODEV && errno != ECONNABORTED)
            log_error("the kernel refused an answer: " + std::string(std::strerror(errno)));
        return;
    }
}

bool Device::notify(int code, ByteSpan payload) const {
    fuse_out_header header{};
    header.error = code;
    header.len = static_cast<uint32_t>(sizeof header + payload.size());
    iovec pieces[2] = {{&header, sizeof header}, {const_cast<std::byte*>(payload.data()), payload.size()}};
    return ::writev(fd_, pieces, payload.empty() ? 1 : 2) >= 0;
}

Status Device::ask_to_resend() const {
    if (notify(protocol::notify_resend, {})) return ok();
    return errno_error(errno, "asking the kernel to send pending requests again");
}

void Device::forget_attributes(uint64_t node) const {
    fuse_notify_inval_inode_out payload{};
    payload.ino = node;
    payload.off = -1;
    (void)notify(FUSE_NOTIFY_INVAL_INODE, bytes_of(payload));
}

}  // namespace holdfast::fusefs
