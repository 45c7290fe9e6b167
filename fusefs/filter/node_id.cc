#include "fusefs/filter/node_id.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

namespace holdfast::fusefs {
namespace {

constexpr size_t type_bytes = sizeof(int32_t);
constexpr unsigned generation_bits_kept = 16;

struct Layout {
    int32_t type;
    size_t bytes, inode_offset, inode_bytes, generation_offset;
    bool any_generation;
};
constexpr Layout layouts[] = {
    {0x01, 8, 0, 4, 4, false},    // FILEID_INO32_GEN: ext4, XFS with inode32
    {0x81, 12, 0, 8, 8, false},   // FILEID_INO64_GEN: XFS
    {0x4d, 20, 0, 8, 16, true},   // btrfs: object, subvolume, generation
};

// XFS_IOC_BULKSTAT for one inode; the kernel's header for it is in no package that the build needs otherwise.
struct XfsBulkRequest {
    uint64_t inode;
    uint32_t flags, asked, returned, group;
    uint64_t reserved[5];
};
struct XfsBulkstat {
    uint64_t inode, size, blocks, flags;
    int64_t times[4];
    uint32_t generation;
    uint32_t rest[103];  // more than the structure has
};
struct XfsBulkBuffer {
    XfsBulkRequest request;
    XfsBulkstat answer;
};
static_assert(sizeof(XfsBulkRequest) == 64);
static_assert(xfs_bulkstat_request == _IOR('X', 127, XfsBulkRequest));

Result<uint32_t> xfs_generation(int fd, uint64_t inode) {
    XfsBulkBuffer buffer{};
    buffer.request.inode = inode;
    buffer.request.asked = 1;
    if (::ioctl(fd, xfs_bulkstat_request, &buffer) != 0) return errno_error(errno, "asking XFS for the generation of an inode");
    if (buffer.request.returned != 1 || buffer.answer.inode != inode)
        return Error{ErrorCode::not_found, "no such inode", ESTALE};
    return buffer.answer.generation;
}

Error stale() {
    return {ErrorCode::not_found, "the object is gone", ESTALE};
}

size_t slot_of(NodeId node, size_t slots) {
    return static_cast<size_t>((node * 0x9e3779b97f4a7c15ULL) >> 40) % slots;
}

}  // namespace

Result<NodeIds> NodeIds::learn(int root_fd, uint32_t origin) {
    NodeIds ids;
    // "." does not cross the mount that covers the directory by now.
    ids.root_.reset(::openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!ids.root_) return errno_error(errno, "open the top directory");
    ids.origin_ = origin;
    ids.template_ = HF_TRY(file_handle_at(ids.root_.get(), ""));
    int32_t type = 0;
    std::memcpy(&type, ids.template_.bytes.data(), type_bytes);
    for (const Layout& layout : layouts) {
        if (layout.type != type || layout.bytes + type_bytes != ids.template_.bytes.size()) continue;
        ids.inode_offset_ = type_bytes + layout.inode_offset;
        ids.inode_bytes_ = layout.inode_bytes;
        ids.generation_offset_ = type_bytes + layout.generation_offset;
        ids.any_generation_ = layout.any_generation;
        ids.inode_bits_ = layout.inode_bytes == 4 ? 32 : 64 - generation_bits_kept;
        ids.inode_mask_ = (uint64_t{1} << ids.inode_bits_) - 1;
        ids.root_inode_ = ids.template_.identity().inode;
        if (ids.inode_bits_ != 32) ids.high_halves_ = std::make_unique<std::atomic<uint64_t>[]>(remembered_max);
        return ids;
    }
    return Error{ErrorCode::unsupported, "the file handles of this file system are not known; keep the directory on ext4, XFS or btrfs"};
}

NodeId NodeIds::compose(uint64_t inode, uint32_t generation) const {
    return inode | uint64_t{generation} << inode_bits_;
}

FileHandle NodeIds::handle(uint64_t inode, uint32_t generation) const {
    FileHandle handle = template_;
    std::memcpy(handle.bytes.data() + inode_offset_, &inode, inode_bytes_);
    std::memcpy(handle.bytes.data() + generation_offset_, &generation, sizeof generation);
    return handle;
}

Result<ObjectName> NodeIds::name_of(const FileHandle& found) const {
    const FileHandle::Identity identity = found.identity();
    if (found == template_) return ObjectName{root_node, journal::root_object};
    // Whatever else stands in a handle (the subvolume) is the same in the whole tree, or it is another tree.
    if (found != handle(identity.inode, identity.generation))
        return Error{ErrorCode::unsupported, "an object of another file system or subvolume", EXDEV};
    if (identity.inode > inode_mask_) return Error{ErrorCode::unsupported, "an inode number above 2^48", EOVERFLOW};
    const NodeId node = compose(identity.inode, identity.generation);
    remember(node, identity.generation);
    return ObjectName{node, {identity.inode, identity.generation, origin_}};
}

Result<ObjectName> NodeIds::name_at(int directory_fd, const std::string& name) const {
    const FileHandle found = HF_TRY(file_handle_at(directory_fd, name));
    return name_of(found);
}

Result<UniqueFd> NodeIds::open(NodeId node, int flags) const {
    if (node == root_node) {
        const int fd = ::openat(root_.get(), ".", flags | O_CLOEXEC);
        if (fd < 0) return errno_error(errno, "open the top directory");
        return UniqueFd(fd);
    }
    const uint64_t inode = inode_of(node);
    if (inode_bits_ == 32) return open_file_handle(root_.get(), handle(inode, static_cast<uint32_t>(node >> 32)), flags);
    if (any_generation_) return open_checked(node, 0, flags);
    // First with what is remembered, then with what XFS says now.
    auto fd = open_file_handle(root_.get(), handle(inode, remembered(node)), flags);
    if (fd || fd.error().sys_errno != ESTALE) return fd;
    const uint32_t generation = HF_TRY(xfs_generation(root_.get(), inode));
    if (compose(inode, generation) != node) return stale();
    remember(node, generation);
    return open_file_handle(root_.get(), handle(inode, generation), flags);
}

Result<UniqueFd> NodeIds::open_checked(NodeId node, uint32_t generation, int flags) const {
    UniqueFd fd = HF_TRY(open_file_handle(root_.get(), handle(inode_of(node), generation), flags));
    const FileHandle opened = HF_TRY(file_handle_at(fd.get(), ""));
    if (compose(opened.identity().inode, opened.identity().generation) != node) return stale();
    return fd;
}

Result<journal::ObjectId> NodeIds::id_of(NodeId node, int fd) const {
    if (node == root_node) return journal::root_object;
    if (inode_bits_ == 32) return journal::ObjectId{inode_of(node), static_cast<uint32_t>(node >> 32), origin_};
    const ObjectName name = HF_TRY(name_at(fd, ""));
    return name.id;
}

void NodeIds::remember(NodeId node, uint32_t generation) const {
    if (!high_halves_ || any_generation_) return;
    const uint64_t entry = (node & inode_mask_) | uint64_t{generation >> generation_bits_kept} << inode_bits_;
    high_halves_[slot_of(node, remembered_max)].store(entry, std::memory_order_relaxed);
}

uint32_t NodeIds::remembered(NodeId node) const {
    const uint64_t entry = high_halves_[slot_of(node, remembered_max)].load(std::memory_order_relaxed);
    const uint32_t high = (entry & inode_mask_) == (node & inode_mask_) ? static_cast<uint32_t>(entry >> inode_bits_) : 0;
    return high << generation_bits_kept | static_cast<uint32_t>(node >> inode_bits_);
}

}  // namespace holdfast::fusefs
