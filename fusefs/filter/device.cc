#include "fusefs/filter/device.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace holdfast::fusefs {
namespace {

constexpr size_t answer_alignment = 1024;  // divides a page

}  // namespace

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
    // Header and body lie in one piece of one page. The kernel takes the process's memory page by page, and a request whose
    // header it has read and whose body it then cannot get, because this process is being killed, ends with EIO for the
    // application. So it gets both at once or neither.
    alignas(answer_alignment) std::byte head[answer_alignment];
    static_assert(sizeof(fuse_out_header) + Answer::plain_bytes_max <= sizeof head);
    const bool succeeded = answer.error() == 0;
    const ByteSpan plain = succeeded ? answer.plain() : ByteSpan{};
    const ByteSpan bulk = succeeded ? answer.bulk() : ByteSpan{};
    fuse_out_header header{};
    header.unique = unique;
    header.error = -answer.error();
    header.len = static_cast<uint32_t>(sizeof header + plain.size() + bulk.size());
    std::memcpy(head, &header, sizeof header);
    if (!plain.empty()) std::memcpy(head + sizeof header, plain.data(), plain.size());
    const iovec pieces[2] = {{head, sizeof header + plain.size()}, {const_cast<std::byte*>(bulk.data()), bulk.size()}};
    const int count = bulk.empty() ? 1 : 2;
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
