#include "journal/grant.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "journal/volume.h"

namespace holdfast::journal {

namespace {

std::string directory_of_grants(const VolumeId& volume) {
    return run_directory(volume) + "/granted";
}

bool is_held(int fd) {
    return ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool says(int fd, const std::string& place) {
    char text[PATH_MAX];
    const ssize_t size = ::pread(fd, text, sizeof text, 0);
    return size > 0 && std::string_view(text, static_cast<size_t>(size)) == place;
}

}  // namespace

Result<Grant> Grant::give(const VolumeId& volume, const std::string& directory) {
    const std::string grants = directory_of_grants(volume);
    std::error_code failure;
    std::filesystem::create_directories(run_directory(volume), failure);
    if (::mkdir(grants.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make " + quoted(grants));
    std::string path = grants + "/XXXXXX";
    UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
    if (!file) return errno_error(errno, "make a file in " + quoted(grants));
    // Locked before it says anything, so that it is never taken for one that was left behind.
    Grant grant(std::move(path), std::move(file));
    if (::flock(grant.file_.get(), LOCK_EX | LOCK_NB) != 0) return errno_error(errno, "lock a file in " + quoted(grants));
    if (::pwrite(grant.file_.get(), directory.data(), directory.size(), 0) != static_cast<ssize_t>(directory.size()))
        return errno_error(errno, "write to a file in " + quoted(grants));
    return grant;
}

Grant::~Grant() {
    if (file_) ::unlink(path_.c_str());
}

bool is_granted(const VolumeId& volume, const std::string& place) {
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(directory_of_grants(volume), failure)) {
        const UniqueFd file(::open(entry.path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!file || !says(file.get(), place)) continue;
        if (is_held(file.get())) return true;
        ::unlink(entry.path().c_str());  // its giver was killed
    }
    return false;
}

}  // namespace holdfast::journal
