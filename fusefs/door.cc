#include "fusefs/door.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fusefs/filter/protocol.h"
#include "fusefs/mount_table.h"

namespace holdfast::fusefs {
namespace {

// A request that does not fit is ended by the kernel with an error; those of a walk along a path are short.
constexpr size_t door_request_bytes_max = 64 << 10;

bool wants_no_answer(uint32_t opcode) {
    return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

// Until this was answered the kernel lets nobody ask anything.
fuse_init_out greeting(const std::byte* body, size_t size) {
    fuse_init_in in{};
    std::memcpy(&in, body, std::min(size, sizeof in));
    fuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = std::min(in.minor, protocol::minor_max);
    out.max_readahead = in.max_readahead;
    out.max_write = 4096;
    return out;
}

}  // namespace

Result<Door> Door::make(const std::string& source, const std::string& directory, int backing_fd, unsigned long flags) {
    FuseMount mount = HF_TRY(FuseMount::make(source, directory, backing_fd, flags));
    if (::fcntl(mount.device_fd(), F_SETFL, O_NONBLOCK) == 0) return Door(std::move(mount));
    Error error = errno_error(errno, "preparing the FUSE device");
    mount.detach();
    return error;
}

void Door::answer() {
    buffer_.resize(door_request_bytes_max);
    while (fd() >= 0) {
        const ssize_t size = ::read(fd(), buffer_.data(), buffer_.size());
        if (size < 0 && (errno == EINTR || errno == ENOENT)) continue;
        if (size < 0 && errno == EAGAIN) return;
        // ENODEV: the last who stood in it is gone.
        if (size < static_cast<ssize_t>(sizeof(fuse_in_header))) return close();
        fuse_in_header asked{};
        std::memcpy(&asked, buffer_.data(), sizeof asked);
        if (wants_no_answer(asked.opcode)) continue;
        struct {
            fuse_out_header header;
            fuse_init_out body;
        } said{};
        said.header.unique = asked.unique;
        said.header.error = -ESTALE;
        said.header.len = sizeof said.header;
        if (asked.opcode == FUSE_INIT) {
            said.header.error = 0;
            said.header.len = sizeof said;
            said.body = greeting(buffer_.data() + sizeof asked, static_cast<size_t>(size) - sizeof asked);
        }
        // One that was killed meanwhile needs no answer any more.
        (void)!::write(fd(), &said, said.header.len);
    }
}

bool Door::is_on_top() const {
    const auto table = read_mount_table();
    if (!table) return false;
    const MountEntry* top = mount_of(*table, mount_.directory());
    return top && top->point == mount_.directory() && mount_.is_this(*top);
}

}  // namespace holdfast::fusefs
