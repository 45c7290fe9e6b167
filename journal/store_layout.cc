#include "journal/store_layout.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/disk.h"
#include "base/log.h"
#include "base/mount_table.h"
#include "base/small_file.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::journal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view parts[] = {"image", "graveyard", "xattrs", "undo", "index"};
constexpr std::string_view files[] = {"first-copy", "first-copy.new", "volume.toml.new", "log", "lock", "store.lock"};
constexpr std::string_view kept_name = "lost+found";  // all that a fresh file system has in it
constexpr int lock_poll_ms = 50;
// A store that somebody still works in is not removed.
constexpr int removal_patience_ms = 30'000;

bool is_one_of(std::span<const std::string_view> names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// Directories of the layout, all the way down without a file.
bool has_no_file(const fs::path& directory) {
    std::error_code failure;
    for (fs::recursive_directory_iterator entry(directory, failure), end; !failure && entry != end; entry.increment(failure)) {
        if (entry->symlink_status(failure).type() != fs::file_type::directory) return false;
    }
    return !failure;
}

// The image says of each object which one it is: without extended attributes of root's there is no image.
Status check_attributes(const std::string& store) {
    std::string probe = store + "/first-copy";
    if (::setxattr(probe.c_str(), "trusted.holdfast.id", "0", 1, 0) == 0) return ok();
    int why = errno;
    return Error{ErrorCode::unsupported, "the file system of " + quoted(store) + " does not keep the extended attribute trusted.holdfast.id (" +
                                             strerror(why) + "): choose a store on ext4, XFS or btrfs",
                 why};
}

// A directory that was just made may have got a group, a set-id bit and ACLs from the one around it.
Status make_plain(const std::string& directory) {
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return errno_error(errno, "open " + quoted(directory));
    for (const char* acl : {"system.posix_acl_access", "system.posix_acl_default"}) {
        if (::fremovexattr(fd.get(), acl) != 0 && errno != ENODATA && errno != EOPNOTSUPP) return errno_error(errno, "remove the ACL of " + quoted(directory));
    }
    const timespec times[2] = {{0, 0}, {0, 0}};
    // Only root can, and only root's stores come further than check_attributes().
    if (::geteuid() == 0 && ::fchown(fd.get(), 0, 0) != 0) return errno_error(errno, "own " + quoted(directory));
    if (::fchmod(fd.get(), 0700) != 0 || ::futimens(fd.get(), times) != 0) return errno_error(errno, "make " + quoted(directory) + " plain");
    return ok();
}

// Symbolic links in a copied tree are removed, never followed.
void clear_directory(const std::string& directory) {
    std::error_code failure;
    for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end; entry.increment(failure)) {
        std::error_code ignored;
        if (entry->path().filename() != kept_name) fs::remove_all(entry->path(), ignored);
    }
}

Status sync_path(const std::string& directory) {
    auto disk = HF_TRY(open_disk(directory));
    return disk->sync_directory();
}

std::string parent_of(const std::string& path) {
    size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<StoreState> look_at_store(const std::string& store) {
    struct stat info {};
    if (::lstat(store.c_str(), &info) != 0) {
        if (errno == ENOENT) return StoreState::absent;
        return errno_error(errno, "look at the store " + quoted(store));
    }
    if (!S_ISDIR(info.st_mode)) return StoreState::foreign;
    std::error_code failure;
    bool is_empty = true, is_ours = true, is_made = false;
    for (fs::directory_iterator entry(store, failure), end; !failure && entry != end; entry.increment(failure)) {
        std::string name = entry->path().filename().string();
        if (name == kept_name) continue;
        is_empty = false;
        is_made |= name == "volume.toml";
        bool is_part = is_one_of(parts, name) || name == "journal";
        is_ours &= is_one_of(files, name) || (is_part && has_no_file(entry->path()));
    }
    if (failure) return errno_error(failure.value(), "list the store " + quoted(store));
    if (is_made) return StoreState::made;
    if (is_empty) return StoreState::empty;
    return is_ours ? StoreState::half_made : StoreState::foreign;
}

Result<NewStore> NewStore::make(const Volume& volume) {
    NewStore store(volume);
    HF_TRY(store.fill());
    return store;
}

NewStore::NewStore(NewStore&& other) noexcept
    : volume_(std::move(other.volume_)), made_(std::move(other.made_)), kept_(std::exchange(other.kept_, true)), registered_(other.registered_) {}

Status NewStore::make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == 0) {
        made_.push_back(path);
        return sync_path(parent_of(path));
    }
    if (errno != EEXIST) return errno_error(errno, "make the directory " + quoted(path));
    return ok();
}

Status keep_holes(const std::string& directory) {
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    struct statfs where;
    if (!fd || ::fstatfs(fd.get(), &where) != 0) return errno_error(errno, "open " + quoted(directory));
    if (where.f_type != XFS_SUPER_MAGIC) return ok();
    fsxattr attributes{};
    if (::ioctl(fd.get(), FS_IOC_FSGETXATTR, &attributes) != 0) return errno_error(errno, "look at " + quoted(directory));
    attributes.fsx_xflags |= FS_XFLAG_COWEXTSIZE;
    attributes.fsx_cowextsize = static_cast<uint32_t>(where.f_bsize);
    // One that cannot share has no such attribute.
    if (::ioctl(fd.get(), FS_IOC_FSSETXATTR, &attributes) != 0 && errno != EINVAL) return errno_error(errno, "set how " + quoted(directory) + " takes room");
    return ok();
}

Status NewStore::fill() {
    HF_TRY(make_directory(volume_.store));
    for (std::string_view part : parts) HF_TRY(make_directory(volume_.store + "/" + std::string(part)));
    HF_TRY(make_directory(volume_.journal_directory));
    HF_TRY(make_directory(volume_.journal_directory + "/cursors"));
    HF_TRY(make_plain(volume_.store + "/image"));
    for (const char* part : {"/image", "/graveyard"}) HF_TRY(keep_holes(volume_.store + part));
    auto disk = HF_TRY(open_disk(volume_.store));
    HF_TRY(replace_small_file(*disk, "first-copy", "The first copy is not complete.\n"));
    HF_TRY(check_attributes(volume_.store));
    HF_TRY(save_volume(volume_));
    HF_TRY(register_volume(volume_));
    registered_ = true;
    return ok();
}

NewStore::~NewStore() {
    if (kept_) return;
    if (registered_) (void)unregister_volume(volume_);
    std::error_code failure;
    if (!fs::exists(volume_.store, failure)) return;
    if (!wait_for_store_lock(volume_.store, removal_patience_ms)) {
        log_warning("the store " + quoted(volume_.store) + " is still in use and stays");
        return;
    }
    // volume.toml first: what is left when this is interrupted is recognised as half made.
    (void)::unlink((volume_.store + "/volume.toml").c_str());
    // Both places held nothing before (look_at_store), so all that is in them came with this attempt.
    if (!is_within(volume_.journal_directory, volume_.store)) clear_directory(volume_.journal_directory);
    clear_directory(volume_.store);
    for (auto directory = made_.rbegin(); directory != made_.rend(); ++directory) (void)::rmdir(directory->c_str());
}

Status wait_for_store_lock(const std::string& store, int timeout_ms) {
    UniqueFd lock(::open((store + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!lock && errno == ENOENT) return ok();
    if (!lock) return errno_error(errno, "open " + quoted(store + "/lock"));
    for (int waited_ms = 0; ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0; waited_ms += lock_poll_ms) {
        if (errno != EWOULDBLOCK && errno != EINTR) return errno_error(errno, "lock " + quoted(store + "/lock"));
        if (waited_ms >= timeout_ms) return Error{ErrorCode::busy, "the store " + quoted(store) + " is still in use: " + store + "/log says by what"};
        std::this_thread::sleep_for(std::chrono::milliseconds(lock_poll_ms));
    }
    return ok();
}

}  // namespace holdfast::journal
