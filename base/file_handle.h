// Kernel file handles (name_to_handle_at, open_by_handle_at): a name for an inode that survives renames, process
// and host restarts, and that costs no open descriptor. Needs CAP_DAC_READ_SEARCH.
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast {

struct FileHandle {
    // The handle type (4 bytes, little-endian) followed by the handle's own bytes.
    std::string bytes;

    // Inode and generation as the file system wrote them into the handle (ext4, XFS, btrfs); for other kinds of
    // handle the generation is a hash of the bytes and the inode is left 0, to be taken from stat.
    struct Identity { uint64_t inode = 0; uint32_t generation = 0; };
    Identity identity() const;
    bool operator==(const FileHandle&) const = default;
};

// Of NAME in DIRECTORY (symbolic links not followed), or of DIRECTORY itself when NAME is empty.
// Error unsupported: this file system has no handles.
Result<FileHandle> file_handle_at(int directory_fd, const std::string& name);
// MOUNT_FD is any descriptor on the handle's file system. FLAGS as for open. Error not_found: ESTALE, it is gone.
Result<UniqueFd> open_file_handle(int mount_fd, const FileHandle& handle, int flags);

}  // namespace holdfast
