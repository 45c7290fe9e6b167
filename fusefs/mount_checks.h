// What must be true before a directory is covered. Every refusal is a sentence that says what is wrong and what to
// do; nothing is changed here.
// Thread rule: pure questions to the system.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "fusefs/mount_options.h"
#include "fusefs/mount_table.h"
#include "journal/volume.h"

namespace holdfast::fusefs {

// PATH without links and dots. Errors: not_found and others with a sentence.
Result<std::string> resolved_path(const std::string& path);

// DIRECTORY, already resolved: is one, is not covered or nested with a mount of ours, and hides no other mount.
Status check_mount_point(const std::string& directory, const std::vector<MountEntry>& table);
// DIRECTORY is what VOLUME protects, and store and journal lie outside of it.
Status check_volume_paths(const journal::Volume& volume, const std::string& directory);
// Root, FUSE, and a kernel that has what the filter needs.
Status check_host();
// The file system beneath BACKING_FD gives out file handles and takes them back.
Status check_file_handles(int backing_fd);

// Kernel releases at which the protocol gained what the filter builds on.
bool kernel_at_least(int major, int minor);

}  // namespace holdfast::fusefs
