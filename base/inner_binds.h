// A mount that covers a directory of another file system, with parts of that directory bound over it at their own places: seen from the mount table,
// and taken away as a whole.
//
// A bind of this kind is told by what it shows: the very directory that lies beneath the cover at that place. So it is found whoever made
// it, and also after a directory above it was renamed.
//
// Thread rule: pure functions over the system.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/mount_table.h"
#include "base/result.h"

namespace holdfast {

// Binds within DIRECTORY, which mounts of TYPE cover, in the order of the table.
std::vector<MountEntry> inner_binds(const std::vector<MountEntry>& table, std::string_view directory, std::string_view type);
// The first mount within DIRECTORY that is none of these. Null: there is none.
const MountEntry* other_mount_within(const std::vector<MountEntry>& table, std::string_view directory, std::string_view type);

// Takes the topmost cover of DIRECTORY away, with its binds, in one step: at no time one is there without the other. What somebody has open in a bind goes
// on: it lies on the file system beneath, and stays where it is.
// Errors: busy, with a sentence, when something else is mounted within; EBUSY when a process stands in the cover, or has something open or mapped there.
// Limits: what the kernel itself uses (a loop device), and what is opened in the instant after the look, does not refuse it: the cover is then out of sight,
// and serves that until it ends, as after `umount -l`.
Status unmount_with_binds(const std::string& directory, std::string_view type);

}  // namespace holdfast
