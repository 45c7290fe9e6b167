#include "rewind/reconcile/backing_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <linux/limits.h>

#include "base/file_time.h"
#include "base/mount_trees.h"
#include "base/text.h"
#include "rewind/image.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

ObjectAttributes attributes_of(const struct stat& info) {
    ObjectAttributes attributes;
    attributes.mode = info.st_mode;
    attributes.uid = info.st_uid;
    attributes.gid = info.st_gid;
    attributes.nlink = static_cast<uint32_t>(info.st_nlink);
    attributes.size = static_cast<uint64_t>(info.st_size);
    attributes.rdev = info.st_rdev;
    attributes.atime_ns = file_time_ns(info.st_atim);
    attributes.mtime_ns = file_time_ns(info.st_mtim);
    attributes.ctime_ns = file_time_ns(info.st_ctim);
    return attributes;
}

bool is_gone(const Error& error) {
    return error.sys_errno == ENOENT || error.sys_errno == ESTALE;
}

// The path of NAME beneath a held descriptor. Only NAME itself is resolved, and the l-functions do not follow it.
std::string proc_path(int directory_fd, const std::string& name) {
    std::string path = "/proc/self/fd/" + std::to_string(directory_fd);
    if (!name.empty()) path += "/" + name;
    return path;
}

}  // namespace

Result<BackingTree> BackingTree::open(int backing_fd, uint32_t origin, const journal::LeftOut& left_out, OpenDirectory open_directory) {
    // Opened again, because neither listing nor open_by_handle_at works on an O_PATH descriptor.
    UniqueFd root(openat(backing_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) return errno_error(errno, "open the top of the backing tree");
    struct stat info;
    if (fstat(root.get(), &info) != 0) return errno_error(errno, "look at the top of the backing tree");
    BackingTree tree(std::move(root), {info.st_dev, origin});
    HF_TRY(tree.find_left_out(left_out));
    tree.open_directory_ = std::move(open_directory);
    return tree;
}

Status BackingTree::find_left_out(const journal::LeftOut& left_out) {
    for (const std::string& path : left_out.paths()) {
        auto directory = directory_beneath(root_.get(), path);
        if (!directory) {
            const int why = directory.error().sys_errno;
            if (why == ENOENT || why == ENOTDIR || why == ELOOP || why == EXDEV) continue;
            return std::move(directory).error();
        }
        left_out_.insert(HF_TRY(examine(directory->get(), "")).id);
    }
    return ok();
}

Result<TreeObject> BackingTree::top() const {
    TreeObject top = HF_TRY(examine(root_.get(), ""));
    top.id = journal::root_object;
    return top;
}

Result<TreeObject> TreeIdentity::examine(int directory_fd, const std::string& name) const {
    struct stat info;
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name.empty() ? AT_EMPTY_PATH : 0);
    if (fstatat(directory_fd, name.c_str(), &info, flags) != 0) return errno_error(errno, "look at " + quoted(name));
    // A mount inside would be taken for the volume's own files, and its absence for their deletion.
    if (info.st_dev != device)
        return Error{ErrorCode::unsupported, quoted(name) + " is the top of another file system or subvolume inside of "
                                                            "the protected directory; unmount it or protect it by itself"};
    TreeObject object;
    object.name = name;
    object.attributes = attributes_of(info);
    object.handle = HF_TRY(file_handle_at(directory_fd, name));
    const auto identity = object.handle.identity();
    object.id = {identity.inode ? identity.inode : info.st_ino, identity.generation, origin};
    return object;
}

Result<UniqueFd> BackingTree::open_top() const {
    UniqueFd top(openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top) return errno_error(errno, "open the top of the backing tree");
    return top;
}

Result<std::unique_ptr<SourceDirectory>> BackingTree::open(const TreeObject& directory) {
    if (directory.id == journal::root_object) {
        UniqueFd top = HF_TRY(open_top());
        return std::unique_ptr<SourceDirectory>(std::make_unique<BackingDirectory>(*this, std::move(top), false));
    }
    auto opened = open_directory_ ? open_directory_(directory.handle) : open_file_handle(root_.get(), directory.handle, O_RDONLY | O_DIRECTORY | O_NOATIME);
    if (!opened) return std::move(opened).error().within("open directory " + quoted(directory.name));
    const bool is_left_out = left_out_.count(directory.id) != 0;
    return std::unique_ptr<SourceDirectory>(std::make_unique<BackingDirectory>(*this, std::move(*opened), is_left_out));
}

Result<XattrList> BackingDirectory::xattrs(const TreeObject& object) {
    return xattrs_at(fd_.get(), object.name);
}

Result<std::vector<TreeObject>> BackingDirectory::list() {
    std::vector<std::string> names;
    if (is_left_out_) return std::vector<TreeObject>();
    HF_TRY(read_directory(fd_.get(), [&](const DirectoryEntry& entry) -> Status {
        names.push_back(entry.name);
        return ok();
    }));
    std::sort(names.begin(), names.end());
    std::vector<TreeObject> objects;
    objects.reserve(names.size());
    for (const std::string& name : names) {
        auto object = tree_.examine(fd_.get(), name);
        if (!object && is_gone(object.error())) continue;
        if (!object) return std::move(object).error();
        objects.push_back(std::move(*object));
    }
    return objects;
}

Result<XattrList> xattrs_at(int directory_fd, const std::string& name) {
    const std::string path = proc_path(directory_fd, name);
    // The path of the descriptor itself is a link of /proc, which has to be followed; a name in it must not be.
    const bool follow = name.empty();
    XattrList found;
    char small[1024];
    std::string large;
    const char* names = small;
    ssize_t size = follow ? listxattr(path.c_str(), small, sizeof small) : llistxattr(path.c_str(), small, sizeof small);
    if (size < 0 && errno == ERANGE) {
        large.resize(XATTR_LIST_MAX);
        names = large.data();
        size = follow ? listxattr(path.c_str(), large.data(), large.size())
                      : llistxattr(path.c_str(), large.data(), large.size());
    }
    if (size < 0 && errno == ENOTSUP) return found;
    if (size < 0) return errno_error(errno, "list the extended attributes of " + quoted(name));
    std::string value;
    for (ssize_t at = 0; at < size;) {
        const std::string key(names + at);
        at += static_cast<ssize_t>(key.size()) + 1;
        if (is_private_xattr(key)) continue;
        value.resize(XATTR_SIZE_MAX);
        const ssize_t length = follow ? getxattr(path.c_str(), key.c_str(), value.data(), value.size())
                                      : lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
        if (length < 0 && errno == ENODATA) continue;
        if (length < 0) return errno_error(errno, "read extended attribute " + quoted(key) + " of " + quoted(name));
        found.emplace_back(key, value.substr(0, static_cast<size_t>(length)));
    }
    std::sort(found.begin(), found.end());
    return found;
}

Result<std::string> BackingDirectory::target(const TreeObject& link) {
    std::string target(HF_SYMLINK_BYTES_MAX + 1, '\0');
    const ssize_t length = readlinkat(fd_.get(), link.name.c_str(), target.data(), target.size());
    if (length < 0) return errno_error(errno, "read symbolic link " + quoted(link.name));
    target.resize(static_cast<size_t>(length));
    return target;
}

Result<UniqueFd> open_file_at(int directory_fd, const std::string& name) {
    // O_NONBLOCK: should somebody have put a pipe in its place, the open must not wait for a writer.
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    UniqueFd file(openat(directory_fd, name.c_str(), flags | O_NOATIME));
    if (!file && errno == EPERM) file.reset(openat(directory_fd, name.c_str(), flags));
    if (!file) return errno_error(errno, "open " + quoted(name));
    return file;
}

Result<size_t> read_fully(int fd, uint64_t offset, MutableByteSpan into) {
    size_t done = 0;
    while (done < into.size()) {
        const ssize_t got = pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(errno, "read a file");
        if (got == 0) break;
        done += static_cast<size_t>(got);
    }
    return done;
}

}  // namespace holdfast::rewind
