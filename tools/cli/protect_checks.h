// What must be true before a directory is protected. Every refusal is a sentence that says what is wrong and what to
// do; nothing is changed here.
// Thread rule: plain questions to the system.
#pragma once

#include <string>

#include "base/result.h"
#include "journal/volume.h"

namespace holdfast::cli {

// DIRECTORY as it is to be protected: without links, a directory, reachable. Errors: not_found, invalid_argument.
Result<std::string> directory_to_protect(const std::string& directory);
// Where a store or journal is to be: the parent must exist and is made real, the last component may be new.
Result<std::string> place_for(const std::string& path, const char* what);

// The places of VOLUME do not lie in one another. Errors: invalid_argument.
Status check_places(const journal::Volume& volume);
// Each is a directory in DIRECTORY, to which no link and no other mount leads. Errors: not_found, invalid_argument; busy when nobody can look, because the
// mount that covers it is dead.
Status check_left_out(const std::string& directory, const journal::LeftOut& left_out);
// No other volume has to do with this directory, and nothing is mounted on it or below. Errors: exists, busy.
Status check_others(const journal::Volume& volume);
// Errors: permission, unless this is root.
Status check_user();
// FUSE, and a file system with file handles. Errors: unsupported.
Status check_host(const std::string& directory);

}  // namespace holdfast::cli
