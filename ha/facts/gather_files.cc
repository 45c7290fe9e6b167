// Scripts that would be run, and keys that would be used: who owns them, who can change them, and what they are, by digest.
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/small_file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "ha/facts/digest.h"
#include "ha/facts/gather.h"

namespace holdfast::ha {

namespace {

constexpr size_t digested_bytes_max = 16 << 20;

std::set<std::string> scripts_of(const Scenario& scenario) {
    std::set<std::string> paths;
    for (const auto& [role, path] : scenario.application.scripts) paths.insert(path);
    for (const Identity& identity : scenario.identities)
        if (!identity.program.empty()) paths.insert(identity.program);
    for (const std::string& path : {scenario.fence, scenario.alive_script})
        if (!path.empty()) paths.insert(path);
    return paths;
}

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

std::optional<std::string> digest_of_text(std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1) return std::nullopt;
    return hex(digest, size);
}

std::optional<std::string> digest_of_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    const auto text = fd ? read_text(fd.get(), digested_bytes_max + 1) : Result<std::string>(errno_error(errno, "open " + path));
    return text && text->size() <= digested_bytes_max ? digest_of_text(*text) : std::nullopt;
}

void gather_files(const Scenario& scenario, Json& facts) {
    for (const std::string& path : scripts_of(scenario)) {
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
