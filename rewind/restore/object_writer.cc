#include "rewind/restore/object_writer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "base/file_time.h"
#include "base/text.h"
#include "rewind/acl_mode.h"
#include "rewind/reconcile/backing_tree.h"

namespace holdfast::rewind {

namespace {

constexpr size_t copy_bytes = 1 << 20;
constexpr int open_tries_max = 100;

Status write_fully(int fd, ByteSpan bytes, uint64_t offset) {
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t put = pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno_error(errno, "write");
        done += static_cast<size_t>(put);
    }
    return ok();
}

}  // namespace

Result<UniqueFd> open_beneath(int directory_fd, const std::string& name, int flags) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_NOFOLLOW | O_CLOEXEC) | (flags & O_PATH ? 0 : O_NONBLOCK);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    // O_PATH of a symbolic link itself is allowed, which RESOLVE_NO_SYMLINKS respects together with O_NOFOLLOW.
    // EAGAIN: a rename elsewhere made the kernel unsure whether the walk stayed beneath.
    long fd = -1;
    for (int tries = 0; tries < open_tries_max; ++tries) {
        fd = syscall(SYS_openat2, directory_fd, name.empty() ? "." : name.c_str(), &how, sizeof how);
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) break;
    }
    if (fd < 0) return errno_error(errno, "open " + quoted(name));
    return UniqueFd(static_cast<int>(fd));
}

Status make_node(const View& view, const ObjectId& object, const ObjectAttributes& attributes, int directory_fd,
                 const std::string& name) {
    int result = 0;
    switch (attributes.mode & S_IFMT) {
        case S_IFDIR: result = mkdirat(directory_fd, name.c_str(), 0700); break;
        case S_IFLNK: result = symlinkat(HF_TRY(view.readlink(object)).c_str(), directory_fd, name.c_str()); break;
        case S_IFREG: {
            const UniqueFd made(openat(directory_fd, name.c_str(),
                                       O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
            result = made ? 0 : -1;
            break;
        }
        default: result = mknodat(directory_fd, name.c_str(), (attributes.mode & S_IFMT) | 0600, attributes.rdev);
    }
    if (result != 0) return errno_error(errno, "make " + quoted(name));
    return ok();
}

Status write_data(const View& view, const ObjectId& object, uint64_t size, int file_fd, const BytesWritten& told) {
    std::vector<std::byte> buffer;
    uint64_t end = 0;
    for (const DataExtent& extent : HF_TRY(view.data_extents(object))) {
        for (uint64_t at = extent.offset; at < extent.offset + extent.length;) {
            const uint64_t want = std::min(extent.offset + extent.length - at, copy_bytes - at % copy_bytes);
            buffer.resize(want);
            const size_t got = HF_TRY(view.read(object, at, buffer));
            HF_TRY(write_fully(file_fd, ByteSpan(buffer).first(got), at));
            if (told) HF_TRY(told(got));
            if (got < want) break;
            at += want;
        }
        end = extent.offset + extent.length;
    }
    if (end < size && ftruncate(file_fd, static_cast<off_t>(size)) != 0)
        return errno_error(errno, "set the size of a file");
    return ok();
}

namespace {

// The magic link of a descriptor leads to exactly its object and is not followed further.
std::string proc_path(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

Status set_xattrs(int fd, const XattrList& wanted, bool acl_was_changed, bool* changed_acl) {
    const std::string path = proc_path(fd);
    const XattrList present = HF_TRY(xattrs_at(fd, ""));
    for (const auto& [key, value] : wanted) {
        const auto same = std::find(present.begin(), present.end(), std::pair(key, value));
        if (same != present.end() && !(acl_was_changed && key == access_acl_xattr)) continue;
        if (setxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0) != 0)
            return errno_error(errno, "set the extended attribute " + quoted(key));
        *changed_acl |= key == access_acl_xattr;
    }
    for (const auto& held : present) {
        const std::string& key = held.first;
        const bool is_wanted = std::any_of(wanted.begin(), wanted.end(), [&](const auto& x) { return x.first == key; });
        if (is_wanted) continue;
        // Labels that the system itself gives to every file cannot be taken away.
        if (removexattr(path.c_str(), key.c_str()) != 0 && errno != ENODATA && !key.starts_with("security."))
            return errno_error(errno, "remove the extended attribute " + quoted(key));
        *changed_acl |= key == access_acl_xattr;
    }
    return ok();
}

}  // namespace

Status set_all_attributes(int object_fd, const ObjectAttributes& attributes, const XattrList& xattrs) {
    struct stat now;
    if (fstat(object_fd, &now) != 0) return errno_error(errno, "look at an object");
    // A change of owner clears set-id bits and capabilities; a change of mode changes the access ACL and the other way
    // round. So: owner, mode, xattrs, the mode again if the ACL was touched, times.
    const bool owner_differs = now.st_uid != attributes.uid || now.st_gid != attributes.gid;
    if (owner_differs && fchownat(object_fd, "", attributes.uid, attributes.gid, AT_EMPTY_PATH) != 0)
        return errno_error(errno, "set the owner");
    const auto set_mode = [&]() -> Status {
        if (S_ISLNK(now.st_mode)) return ok();
        if (chmod(proc_path(object_fd).c_str(), attributes.mode & 07777) != 0) return errno_error(errno, "set the mode");
        return ok();
    };
    const bool mode_differs = ((now.st_mode ^ attributes.mode) & 07777) != 0;
    if (mode_differs || (owner_differs && (attributes.mode & (S_ISUID | S_ISGID)))) HF_TRY(set_mode());
    bool acl_changed = false;
    HF_TRY(set_xattrs(object_fd, xattrs, mode_differs, &acl_changed));
    if (acl_changed) HF_TRY(set_mode());
    const timespec times[2] = {file_time(attributes.atime_ns), file_time(attributes.mtime_ns)};
    if (utimensat(object_fd, "", times, AT_EMPTY_PATH) != 0) return errno_error(errno, "set the times");
    return ok();
}

}  // namespace holdfast::rewind
