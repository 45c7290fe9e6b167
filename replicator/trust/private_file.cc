#include "replicator/trust/private_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::replicator {
namespace {

Status check_owner(const struct stat& status, const std::string& shown) {
    if (status.st_uid == ::geteuid()) return ok();
    return Error{ErrorCode::permission, shown + " belongs to user " + std::to_string(status.st_uid) + ", not to " +
                                            std::to_string(::geteuid()) + " as whom this runs; give it to that user with chown"};
}

std::string parent_of(const std::string& directory) {
    auto parent = std::filesystem::path(directory + "/.").lexically_normal().parent_path().parent_path();
    return parent.empty() ? "." : parent.string();
}

}  // namespace

Result<std::unique_ptr<Disk>> open_private_directory(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) == 0) {
        auto parent = HF_TRY(open_disk(parent_of(directory)));
        HF_TRY(parent->sync_directory());
    } else if (errno != EEXIST) {
        return errno_error(errno, "make directory " + quoted(directory));
    }
    struct stat status;
    if (::stat(directory.c_str(), &status) != 0) return errno_error(errno, "look at " + quoted(directory));
    HF_TRY(check_owner(status, "the directory " + quoted(directory)));
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return Error{ErrorCode::permission, "others may write to the directory " + quoted(directory) +
                                                " and so replace the keys in it; run: chmod 700 on it, and check what it holds"};
    return open_disk(directory);
}

Result<std::string> read_private_file(Disk& disk, std::string_view name, size_t bytes_max) {
    auto file = HF_TRY(disk.open(name, Disk::Open::existing_read_only));
    if (file->fd() >= 0) {  // a disk of a test may have none
        struct stat status;
        if (::fstat(file->fd(), &status) != 0) return errno_error(errno, "look at " + quoted(name));
        HF_TRY(check_owner(status, quoted(name)));
        if (status.st_mode & (S_IRWXG | S_IRWXO))
            return Error{ErrorCode::permission, quoted(name) + " can be used by others than its owner, so it may have been read or "
                                                               "changed; if that is ruled out, chmod 600 it, else replace it"};
    }
    std::string contents(bytes_max + 1, '\0');
    const size_t got = HF_TRY(file->pread({reinterpret_cast<std::byte*>(contents.data()), contents.size()}, 0));
    if (got > bytes_max)
        return Error{ErrorCode::corrupt, quoted(name) + " is longer than " + human_bytes(bytes_max) + ", so it is not ours"};
    contents.resize(got);
    return contents;
}

}  // namespace holdfast::replicator
