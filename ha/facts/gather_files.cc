// Scripts that would be run, and keys that would be used: who owns them, who can change them, and what they are, by digest.
#include <sys/stat.h>

#include "ha/facts/gather.h"
#include "ha/state/digest.h"

namespace holdfast::ha {

namespace {

// Itself, or a directory above it in which it could be replaced.
bool is_writable_by_others(const std::string& path) {
    for (std::string at = path; !at.empty(); at.erase(at.rfind('/'))) {
        struct stat status {};
        if (::stat(at.c_str(), &status) != 0) continue;
        const bool is_sticky_directory = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
        if (status.st_uid != 0 || ((status.st_mode & 022) != 0 && !is_sticky_directory)) return true;
    }
    return false;
}

}  // namespace

void gather_files(const Scenario& scenario, Json& facts) {
    for (const std::string& path : scenario.programs()) {
        Json& script = facts["scripts"][path];
        struct stat status {};
        script["exists"] = ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
        if (!script["exists"]) continue;
        script["is_executable"] = (status.st_mode & 0100) != 0;
        script["is_roots"] = status.st_uid == 0;
        script["is_writable_by_others"] = is_writable_by_others(path);
        if (const auto digest = digest_of_file(path)) script["digest"] = *digest;
    }
    for (const Identity& identity : scenario.identities) {
        if (identity.key.empty()) continue;
        Json& key = facts["keys"][identity.key];
        struct stat status {};
        key["exists"] = ::stat(identity.key.c_str(), &status) == 0 && S_ISREG(status.st_mode);
        if (!key["exists"]) continue;
        key["is_private"] = status.st_uid == 0 && (status.st_mode & 077) == 0;
        if (const auto digest = digest_of_file(identity.key)) key["digest"] = *digest;
    }
}

}  // namespace holdfast::ha
