// Node ids, by which the kernel names objects to us, and the file handles that they stand for.
//
// A node id holds everything that is needed to open the object again: its inode number and its generation (or as much
// of it as fits). So nothing has to be remembered per known object, neither in memory nor for a successor, and a
// number that the file system gives to another object later makes another node id (docs/decisions/0003).
//
//     ext4          inode number 32 bits, generation 32 bits
//     XFS, btrfs    inode number 48 bits, the low 16 bits of the generation
//
// 1 is the top directory, whatever its inode is. Where 16 bits of a generation are missing (XFS) they are asked of the
// file system, and remembered in a table of fixed size.
// Thread rule: any thread after learn().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/file_handle.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/ids.h"

namespace holdfast::fusefs {

using NodeId = uint64_t;
inline constexpr NodeId root_node = 1;
inline constexpr uint32_t xfs_bulkstat_request = 0x8040587f;  // the ioctl by which XFS tells the generation of an inode

// An object as the filter knows it.
struct ObjectName {
    NodeId node = 0;
    journal::ObjectId id;
};

class NodeIds {
public:
    // From the top directory's own handle. Errors: unsupported (the file system's handles are not known).
    static Result<NodeIds> learn(int root_fd, uint32_t origin);

    // The node of a handle that file_handle_at() gave for something beneath the root. Errors: unsupported (the number
    // does not fit).
    Result<ObjectName> name_of(const FileHandle& handle) const;
    // Both of the object that FD or NAME in DIRECTORY_FD is.
    Result<ObjectName> name_at(int directory_fd, const std::string& name) const;

    // Opens the object. FLAGS as for open. Errors: not_found (ESTALE: it is gone, or its number belongs to another now).
    Result<UniqueFd> open(NodeId node, int flags) const;

    // By which OBJECT, which is of this tree, is opened again.
    FileHandle handle_of(const journal::ObjectId& object) const {
        return object == journal::root_object ? template_ : handle(object.inode, object.generation);
    }

    // The journal's name of an object that is already open at FD.
    Result<journal::ObjectId> id_of(NodeId node, int fd) const;
    uint64_t inode_of(NodeId node) const { return node == root_node ? root_inode_ : node & inode_mask_; }

    int root_fd() const { return root_.get(); }
    uint32_t origin() const { return origin_; }

private:
    NodeIds() = default;
    NodeId compose(uint64_t inode, uint32_t generation) const;
    FileHandle handle(uint64_t inode, uint32_t generation) const;
    void remember(NodeId node, uint32_t generation) const;
    uint32_t remembered(NodeId node) const;
    Result<UniqueFd> open_checked(NodeId node, uint32_t generation, int flags) const;

    // What is left of a generation in a node id of 48 + 16 bits is its low half; this keeps the high halves of those
    // seen last: inode number below, high half above, found by the node's hash. A wrong one is noticed (ESTALE).
    static constexpr size_t remembered_max = 1 << 16;
    std::unique_ptr<std::atomic<uint64_t>[]> high_halves_;

    UniqueFd root_;           // readable: handles cannot be opened relative to an O_PATH descriptor
    uint32_t origin_ = 1;
    FileHandle template_;     // the top directory's handle: others differ in inode and generation only
    size_t inode_offset_ = 0, inode_bytes_ = 0, generation_offset_ = 0;  // where these stand in it
    unsigned inode_bits_ = 48;
    uint64_t inode_mask_ = 0;
    uint64_t root_inode_ = 0;
    bool any_generation_ = false;  // btrfs: generation 0 in a handle matches any
};

}  // namespace holdfast::fusefs
