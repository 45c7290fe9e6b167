// Kernel file handles (name_to_handle_at, open_by_handle_at): a name for an inode that survives renames, process
// and host restarts, and that costs no open descriptor. Needs CAP_DAC_READ_SEARCH.
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast {

class Reconnector;

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
// Whether there is anything that HANDLE leads to, which is not opened.
Result<bool> is_file_handle_alive(int mount_fd, const FileHandle& handle);
// From here on every handle is opened with MOUNT_FD, which is never closed: for a process that may use no other (base/confine.h). What FLAGS say
// is a directory is opened with the help of RECONNECTOR where the kernel has forgotten its name. Once, before there is a second thread.
void open_all_handles_with(int mount_fd, std::shared_ptr<Reconnector> reconnector);

}  // namespace holdfast
