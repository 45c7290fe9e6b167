#include "base/file_handle.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/reconnector.h"
#include "base/text.h"

namespace holdfast {
namespace {

// Where inode and generation stand in the handles of the file systems that we know, with the kernel's names for
// the types. The size tells handles apart that share a type: tmpfs also says 1, but its handles have 12 bytes.
struct Layout {
    int32_t type;
    size_t size;
    size_t inode_bytes;
    size_t generation_offset;
};
constexpr Layout layouts[] = {
    {0x01, 8, 4, 4},    // FILEID_INO32_GEN: ext2/3/4, f2fs, XFS with inode32
    {0x02, 16, 4, 4},   // FILEID_INO32_GEN_PARENT; then the parent's
    {0x81, 12, 8, 8},   // FILEID_INO64_GEN: XFS
    {0x82, 24, 8, 8},   // FILEID_INO64_GEN_PARENT; then the parent's
    {0x4d, 20, 8, 16},  // FILEID_BTRFS_WITHOUT_PARENT: object, subvolume, generation
    {0x4e, 32, 8, 16},  // FILEID_BTRFS_WITH_PARENT; then the parent's, in the same subvolume
    {0x4f, 40, 8, 16},  // FILEID_BTRFS_WITH_PARENT_ROOT; then the parent's, in another subvolume
};

constexpr size_t type_bytes = sizeof(int32_t);
constexpr int attempts_max = 50;

int only_mount = -1;
std::shared_ptr<Reconnector> only_reconnector;

// FNV-1a, both halves folded: handles differ in few bytes, and any of them may be the one.
uint32_t hash_of(std::string_view bytes) {
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3ULL;
    return static_cast<uint32_t>(hash ^ (hash >> 32));
}

// The kernel's struct file_handle ends in a flexible array; this is one with room for the largest.
struct HandleBuffer {
    alignas(file_handle) char bytes[sizeof(file_handle) + MAX_HANDLE_SZ];
    file_handle* get() { return reinterpret_cast<file_handle*>(bytes); }
};

}  // namespace

FileHandle::Identity FileHandle::identity() const {
    Identity identity;
    if (bytes.size() < type_bytes) return identity;
    int32_t type = 0;
    std::memcpy(&type, bytes.data(), sizeof type);
    const char* handle = bytes.data() + type_bytes;
    for (const Layout& layout : layouts) {
        if (layout.type != type || layout.size != bytes.size() - type_bytes) continue;
        std::memcpy(&identity.inode, handle, layout.inode_bytes);
        std::memcpy(&identity.generation, handle + layout.generation_offset, sizeof identity.generation);
        return identity;
    }
    identity.generation = hash_of(bytes);
    return identity;
}

Result<FileHandle> file_handle_at(int directory_fd, const std::string& name) {
    HandleBuffer buffer;
    buffer.get()->handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    int flags = name.empty() ? AT_EMPTY_PATH : 0;
    if (::name_to_handle_at(directory_fd, name.c_str(), buffer.get(), &mount_id, flags) != 0) {
        // EOVERFLOW with the largest buffer is how a file system says that it cannot encode this object.
        if (errno == EOVERFLOW) errno = EOPNOTSUPP;
        return errno_error(errno, "file handle of " + (name.empty() ? std::string("a descriptor") : quoted(name)));
    }
    FileHandle handle;
    int32_t type = buffer.get()->handle_type;
    handle.bytes.reserve(type_bytes + buffer.get()->handle_bytes);
    handle.bytes.append(reinterpret_cast<const char*>(&type), type_bytes);
    handle.bytes.append(reinterpret_cast<const char*>(buffer.get()->f_handle), buffer.get()->handle_bytes);
    return handle;
}

namespace {

Result<UniqueFd> open_as_is(int mount_fd, const FileHandle& handle, int flags) {
    if (handle.bytes.size() <= type_bytes || handle.bytes.size() > type_bytes + MAX_HANDLE_SZ)
        return Error{ErrorCode::invalid_argument, "open file handle: its size is not one that a kernel hands out", EINVAL};
    HandleBuffer buffer;
    int32_t type = 0;
    std::memcpy(&type, handle.bytes.data(), type_bytes);
    buffer.get()->handle_type = type;
    buffer.get()->handle_bytes = static_cast<unsigned>(handle.bytes.size() - type_bytes);
    std::memcpy(buffer.get()->f_handle, handle.bytes.data() + type_bytes, handle.bytes.size() - type_bytes);
    int fd = -1;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        fd = ::open_by_handle_at(mount_fd, buffer.get(), flags | O_CLOEXEC);
        // The kernel says ENOMEM as well when the number is just being given to a new object: the next look finds that one, or nothing.
        if (fd >= 0 || (errno != EINTR && errno != ENOMEM)) break;
        if (errno == ENOMEM) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (fd >= 0) return UniqueFd(fd);
    Error error = errno_error(errno, "open file handle");
    if (error.sys_errno == ESTALE) error.code = ErrorCode::not_found;
    return error;
}

}  // namespace

Result<UniqueFd> open_file_handle(int mount_fd, const FileHandle& handle, int flags) {
    if (only_mount >= 0) mount_fd = only_mount;
    auto opened = open_as_is(mount_fd, handle, flags);
    if (opened || !only_reconnector || !(flags & O_DIRECTORY)) return opened;
    // Either is how Landlock's refusal of a directory on the way shows.
    if (opened.error().sys_errno != ESTALE && opened.error().sys_errno != EACCES) return opened;
    return only_reconnector->attempt_while_connected(handle, [&] { return open_as_is(mount_fd, handle, flags); });
}

Result<bool> is_file_handle_alive(int mount_fd, const FileHandle& handle) {
    const auto found = only_reconnector ? only_reconnector->attempt_while_connected(handle, [] { return UniqueFd(); }) : open_as_is(mount_fd, handle, O_PATH);
    if (!found && found.error().code != ErrorCode::not_found) return Error(found.error());
    return found.has_value();
}

void open_all_handles_with(int mount_fd, std::shared_ptr<Reconnector> reconnector) {
    only_mount = mount_fd;
    only_reconnector = std::move(reconnector);
}

}  // namespace holdfast
