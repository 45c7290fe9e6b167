// Requests that change nothing: looking up, attributes, links, statistics.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

// Between asking for the handle and for the attributes a name may come to mean another object (a hard link that is
// renamed through another directory): then once more.
constexpr int attempts_max = 100;

Answer lookup_self(Shared& shared, NodeId node) {
    auto fd = shared.object(node);
    if (!fd) return failure(fd.error());
    struct stat status {};
    if (::fstatat(fd->get(), "", &status, AT_EMPTY_PATH) != 0) return Answer::error(errno);
    auto name = shared.name(node, fd->get());
    if (!name) return failure(name.error());
    return Answer::of(entry_answer(*name, status));
}

// Asked by whoever opens a file handle of the mount: the parent of a directory, but nothing above the top.
Answer lookup_parent(Shared& shared, NodeId node) {
    if (node == root_node) return lookup_self(shared, root_node);
    auto fd = shared.object(node);
    if (!fd) return failure(fd.error());
    const UniqueFd parent(::openat(fd->get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!parent) return Answer::error(errno);
    struct stat status {};
    if (::fstatat(parent.get(), "", &status, AT_EMPTY_PATH) != 0) return Answer::error(errno);
    auto name = shared.ids.name_at(parent.get(), "");
    if (!name) return failure(name.error());
    return Answer::of(entry_answer(*name, status));
}

protocol::StatxTime to_fuse(const statx_timestamp& time) {
    return {time.tv_sec, time.tv_nsec, 0};
}

}  // namespace

Result<fuse_entry_out> entry_at(Shared& shared, int directory_fd, const std::string& name) {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        const ObjectName found = HF_TRY(shared.ids.name_at(directory_fd, name));
        struct stat status {};
        if (::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "stat");
        if (status.st_ino == shared.ids.inode_of(found.node)) return entry_answer(found, status);
    }
    return Error{ErrorCode::busy, "a name never stands still", EBUSY};
}

Answer lookup(Shared& shared, Thread& thread, Request& request) {
    const auto name = request.take_text();
    if (!name) return Answer::error(EIO);
    if (*name == ".") return lookup_self(shared, request.node());
    if (*name == "..") return lookup_parent(shared, request.node());
    auto directory = thread.directories.get(shared.ids, shared.orphans, request.node());
    if (!directory) return failure(directory.error());
    auto entry = entry_at(shared, *directory, std::string(*name));
    if (entry) return Answer::of(*entry);
    if (entry.error().sys_errno == ENOENT) return Answer::of(no_entry_answer());
    return failure(entry.error());
}

Answer forget(Shared& shared, Thread& thread, Request& request) {
    shared.forget(request.node(), thread.place);
    return Answer::none();
}

Answer batch_forget(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_batch_forget_in>();
    for (uint32_t i = 0; in && i < in->count; ++i) {
        const auto* one = request.take<fuse_forget_one>();
        if (!one) break;
        shared.forget(one->nodeid, thread.place);
    }
    return Answer::none();
}

Answer get_attributes(Shared& shared, Thread&, Request& request) {
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    struct stat status {};
    if (::fstatat(fd->get(), "", &status, AT_EMPTY_PATH) != 0) return Answer::error(errno);
    return Answer::of(attributes_answer(status));
}

Answer get_statx(Shared& shared, Thread&, Request& request) {
    const auto* in = request.take<protocol::StatxIn>();
    if (!in) return Answer::error(EIO);
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    struct statx found {};
    if (::statx(fd->get(), "", AT_EMPTY_PATH, in->mask | STATX_BASIC_STATS, &found) != 0) return Answer::error(errno);
    protocol::StatxOut out{};
    out.attr_valid = valid_seconds;
    protocol::Statx& stat = out.stat;
    stat.mask = found.stx_mask;
    stat.blksize = found.stx_blksize;
    stat.attributes = found.stx_attributes;
    stat.attributes_mask = found.stx_attributes_mask;
    stat.nlink = found.stx_nlink;
    stat.uid = found.stx_uid;
    stat.gid = found.stx_gid;
    stat.mode = found.stx_mode;
    stat.ino = found.stx_ino;
    stat.size = found.stx_size;
    stat.blocks = found.stx_blocks;
    stat.atime = to_fuse(found.stx_atime);
    stat.btime = to_fuse(found.stx_btime);
    stat.ctime = to_fuse(found.stx_ctime);
    stat.mtime = to_fuse(found.stx_mtime);
    stat.rdev_major = found.stx_rdev_major;
    stat.rdev_minor = found.stx_rdev_minor;
    stat.dev_major = found.stx_dev_major;
    stat.dev_minor = found.stx_dev_minor;
    return Answer::of(out);
}

Answer read_link(Shared& shared, Thread& thread, Request& request) {
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    const ssize_t size = ::readlinkat(fd->get(), "", reinterpret_cast<char*>(thread.data.data()), thread.data.size());
    if (size < 0) return Answer::error(errno);
    return Answer::data({thread.data.data(), static_cast<size_t>(size)});
}

Answer file_system_statistics(Shared& shared, Thread&, Request& request) {
    // Of the object asked about: project quotas make a file system look smaller from within some directories.
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    struct statvfs info {};
    if (::fstatvfs(fd->get(), &info) != 0) return Answer::error(errno);
    fuse_statfs_out out{};
    out.st.blocks = info.f_blocks;
    out.st.bfree = info.f_bfree;
    out.st.bavail = info.f_bavail;
    out.st.files = info.f_files;
    out.st.ffree = info.f_ffree;
    out.st.bsize = static_cast<uint32_t>(info.f_bsize);
    out.st.namelen = static_cast<uint32_t>(info.f_namemax);
    out.st.frsize = static_cast<uint32_t>(info.f_frsize);
    return Answer::of(out);
}

}  // namespace holdfast::fusefs
