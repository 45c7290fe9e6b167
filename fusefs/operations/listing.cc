// Reading directories. Offsets are those of the backing file system, so they mean the same after a change of the directory,
// and to a successor of this process.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

// As getdents64 writes it.
struct KernelEntry {
    uint64_t inode;
    int64_t offset;  // of the next entry
    uint16_t length;
    uint8_t type;
    char name[];
};

constexpr size_t kernel_bytes_min = 1024;  // one entry with the longest name fits

// The answer that is being filled.
class Listing {
public:
    Listing(Buffer& buffer, size_t bytes_max) : buffer_(buffer), bytes_max_(bytes_max) {}

    bool fits(size_t bytes) const { return used_ + FUSE_DIRENT_ALIGN(bytes) <= bytes_max_; }
    template <typename T>
    void add(const T& value) {
        std::memcpy(buffer_.data() + used_, &value, sizeof value);
        used_ += sizeof value;
    }
    void add_entry(const KernelEntry& entry, std::string_view name) {
        fuse_dirent out{};
        out.ino = entry.inode;
        out.off = static_cast<uint64_t>(entry.offset);
        out.namelen = static_cast<uint32_t>(name.size());
        out.type = entry.type;
        std::memcpy(buffer_.data() + used_, &out, FUSE_NAME_OFFSET);
        std::memcpy(buffer_.data() + used_ + FUSE_NAME_OFFSET, name.data(), name.size());
        const size_t bytes = FUSE_NAME_OFFSET + name.size();
        std::memset(buffer_.data() + used_ + bytes, 0, FUSE_DIRENT_ALIGN(bytes) - bytes);
        used_ += FUSE_DIRENT_ALIGN(bytes);
    }
    ByteSpan bytes() const { return {buffer_.data(), used_}; }

private:
    Buffer& buffer_;
    size_t bytes_max_;
    size_t used_ = 0;
};

bool add_plain(Listing& listing, const KernelEntry& entry, std::string_view name) {
    if (!listing.fits(FUSE_NAME_OFFSET + name.size())) return false;
    listing.add_entry(entry, name);
    return true;
}

bool add_plus(Shared& shared, int directory, Listing& listing, const KernelEntry& entry, std::string_view name) {
    if (!listing.fits(FUSE_NAME_OFFSET_DIRENTPLUS + name.size())) return false;
    fuse_entry_out out{};
    // Without a node id it is only a name: the two dots, and what cannot be looked up (gone meanwhile, another subvolume).
    if (name != "." && name != "..")
        if (auto found = entry_at(shared, directory, std::string(name))) out = *found;
    listing.add(out);
    listing.add_entry(entry, name);
    return true;
}

// One getdents64 is asked for about as much as fits into the answer; what does not fit is read again next time.
Answer list(Shared& shared, Thread& thread, Request& request, bool plus) {
    const auto* in = request.take<fuse_read_in>();
    if (!in || in->size > thread.data.size() / 2) return Answer::error(EIO);
    auto found = shared.file(request.node(), in->fh);
    if (!found) return failure(found.error());
    OpenFile& file = **found;
    Listing listing(thread.data, in->size);
    // The second half of the buffer takes what the kernel writes.
    std::byte* raw = thread.data.data() + thread.data.size() / 2;
    const size_t wanted = plus ? in->size / 4 : in->size;
    const size_t raw_bytes = std::max(wanted, kernel_bytes_min);

    std::lock_guard lock(file.reading);
    if (file.position != in->offset && ::lseek(file.fd.get(), static_cast<off_t>(in->offset), SEEK_SET) < 0) return Answer::error(errno);
    const long size = ::syscall(SYS_getdents64, file.fd.get(), raw, raw_bytes);
    file.position = ~uint64_t{0};  // nowhere known, until all of it is handed on
    if (size < 0) return Answer::error(errno);
    uint64_t next = in->offset;
    for (long at = 0; at < size;) {
        const auto& entry = *reinterpret_cast<const KernelEntry*>(raw + at);
        const std::string_view name(entry.name);
        const bool added = plus ? add_plus(shared, file.fd.get(), listing, entry, name) : add_plain(listing, entry, name);
        if (!added) return Answer::data(listing.bytes());
        next = static_cast<uint64_t>(entry.offset);
        at += entry.length;
    }
    file.position = next;
    return Answer::data(listing.bytes());
}

}  // namespace

Answer read_directory(Shared& shared, Thread& thread, Request& request) {
    return list(shared, thread, request, false);
}

Answer read_directory_plus(Shared& shared, Thread& thread, Request& request) {
    return list(shared, thread, request, true);
}

}  // namespace holdfast::fusefs
