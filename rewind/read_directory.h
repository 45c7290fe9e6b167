// All entries of one directory, in the order of the file system, without . and .. ; in bounded memory, because each
// is handed to the caller as it comes.
// Thread rule: DIRECTORY_FD is borrowed and not moved: the walk opens its own description of the directory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::rewind {

struct DirectoryEntry {
    std::string name;
    uint32_t type;   // type bits of a mode; 0 when the file system does not say
    uint64_t inode;
};

// Where the file system does not say, the entry is looked at. Errors: those of the system call (not_found: it is gone).
Result<bool> is_directory(int directory_fd, const DirectoryEntry& entry);

Status read_directory(int directory_fd, const std::function<Status(const DirectoryEntry&)>& visit);

// The one name of a directory and where it has it: it does not know its name, but its parent knows its inode. Errors: corrupt when there is none.
struct DirectoryName {
    UniqueFd parent;
    std::string name;
};
Result<DirectoryName> name_of_directory(int directory_fd);

}  // namespace holdfast::rewind
